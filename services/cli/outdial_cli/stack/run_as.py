"""Postgres refuses to run as root: find another user, and let it reach its files.

Nothing is added to the machine: an unprivileged user that every system has is taken. When the
project lies where that user may not look (`/root/outdial`), the child keeps the one capability
that reads past folder permissions (CAP_DAC_OVERRIDE), rather than opening the folders to everyone.
"""

import ctypes
import os
import pwd
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

_USERS = ("nobody", "daemon")
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}


@dataclass(frozen=True)
class RunAs:
    """A user for a child; `past_permissions`: with CAP_DAC_OVERRIDE."""

    uid: int
    gid: int
    past_permissions: bool = False


def unprivileged_user(*paths: Path) -> RunAs | None:
    """Whom a child should run as to reach `paths`; None when we are not root ourselves."""
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunAs(entry.pw_uid, entry.pw_gid, not all(_open_to_all(path) for path in paths))
    raise PermissionError(
        "Postgres does not run as root, and this machine has no user 'nobody' to run it as: "
        "run outdial as another user, or set DATABASE_URL"
    )


def own(path: Path, user: RunAs | None) -> None:
    """Make the folder `path` private to `user` (to us: None)."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    if user is not None:
        os.chown(path, user.uid, user.gid)


def become(user: RunAs) -> None:
    """Turn the calling process, just forked, into `user`."""
    libc = ctypes.CDLL(None, use_errno=True)
    if user.past_permissions:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(user.gid)
    os.setuid(user.uid)
    if user.past_permissions:
        _keep_dac_override(libc)


def _keep_dac_override(libc: ctypes.CDLL) -> None:
    number = _SYS_CAPSET.get(os.uname().machine)
    if number is None:
        return
    mask = 1 << _CAP_DAC_OVERRIDE
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    # Effective, permitted, inheritable, for each of two 32-bit halves.
    data = ctypes.create_string_buffer(struct.pack("=6I", mask, mask, mask, 0, 0, 0))
    libc.syscall(number, header, data)
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def _open_to_all(path: Path) -> bool:
    """Whether anybody may walk down to `path` and into it."""
    path = path.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))
