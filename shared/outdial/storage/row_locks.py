"""A row by its id, locked until the transaction ends and read afresh.

The statements are made once: `session.get` makes one, and its key in SQLAlchemy's cache, at each
call. In which order rows are locked stands in `locks.py`.
"""

from typing import TypeVar

from sqlalchemy import Select, bindparam, select

from outdial.storage.tables import Base

T = TypeVar("T", bound=Base)


def locking(table: type[T], *, read: bool = False, key_share: bool = False) -> Select[T]:
    """For `session.scalar(statement, {"id": ...})`; how, as `with_for_update` has it."""
    return (
        select(table)
        .where(table.__table__.c.id == bindparam("id"))
        .with_for_update(read=read, key_share=key_share)
        .execution_options(populate_existing=True)
    )
