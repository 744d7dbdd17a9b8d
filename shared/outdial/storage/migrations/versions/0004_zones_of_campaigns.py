"""Where the leads of a campaign can be: one that is closed there is not scanned."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "campaigns",
        sa.Column("zones_known", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_table(
        "campaign_zones",
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("template_id", sa.UUID(), nullable=False),
        sa.Column("zones", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_zones_campaign_id")
        ),
        sa.ForeignKeyConstraint(
            ["template_id"], ["templates.id"], name=op.f("fk_campaign_zones_template_id")
        ),
        sa.PrimaryKeyConstraint(
            "campaign_id", "template_id", "zones", name=op.f("pk_campaign_zones")
        ),
    )


def downgrade() -> None:
    op.drop_table("campaign_zones")
    op.drop_column("campaigns", "zones_known")
