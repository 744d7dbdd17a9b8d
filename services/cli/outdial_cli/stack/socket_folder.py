"""A folder for unix sockets whose path fits the kernel's 107 bytes."""

import shutil
import tempfile
from pathlib import Path

_LONGEST = 107
_LONGEST_NAME = len("/.s.PGSQL.5432")


def socket_folder(wanted: Path) -> Path:
    """`wanted`, or a short private folder under /tmp that `wanted` points at with a link.

    The link lets the next start find and remove the folder if this one is killed.
    """
    forget_socket_folder(wanted)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    if len(str(wanted).encode()) + _LONGEST_NAME <= _LONGEST:
        wanted.mkdir(mode=0o700)
        return wanted
    short = Path(tempfile.mkdtemp(prefix="outdial-", dir="/tmp"))
    wanted.symlink_to(short)
    return short


def forget_socket_folder(wanted: Path) -> None:
    """Remove the folder, and what it points at."""
    if wanted.is_symlink():
        shutil.rmtree(wanted.readlink(), ignore_errors=True)
        wanted.unlink()
    shutil.rmtree(wanted, ignore_errors=True)
