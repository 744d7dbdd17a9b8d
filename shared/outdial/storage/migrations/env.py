"""Alembic's entry: it works on the connection and in the transaction of `schema.upgrade`."""

from alembic import context

from outdial.storage.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
