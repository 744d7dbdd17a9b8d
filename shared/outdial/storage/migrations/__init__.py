"""Alembic's folder; `storage.engine.upgrade` and `downgrade` run it."""
