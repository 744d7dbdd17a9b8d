"""Leads that wait and will expire are found without looking at the others."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_leads_expiry",
        "leads",
        ["expires_at"],
        postgresql_where=sa.text("state IN ('backlog', 'retry') AND expires_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_leads_expiry", table_name="leads")
