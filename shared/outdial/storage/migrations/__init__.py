"""Alembic's folder; `storage.schema.upgrade` and `downgrade` run it."""
