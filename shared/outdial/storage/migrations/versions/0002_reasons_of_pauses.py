"""Why a campaign is paused and since when a number is set aside; calls by caller number."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("paused_reason", sa.Text(), nullable=True))
    op.add_column("numbers", sa.Column("set_aside_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_attempts_caller_number_queued_at", "attempts", ["caller_number", "queued_at"]
    )


def downgrade() -> None:
    op.drop_index("ix_attempts_caller_number_queued_at", table_name="attempts")
    op.drop_column("numbers", "set_aside_at")
    op.drop_column("campaigns", "paused_reason")
