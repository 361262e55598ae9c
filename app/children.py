"""Child processes of the gateway: started without its environment, ended with it, and the folders that they and it work in.

A folder of work is named by the process that made it, so that the next start removes what a killed one left.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")
_PR_SET_PDEATHSIG = 1
_FOREIGN_SECONDS = 2 * 86_400


def bare_environment() -> dict[str, str]:
    """The environment of a child: where programs and this code are found, and nothing else."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}


def end_with_parent() -> None:
    """Called by a child: the kernel ends it with the thread that started it, also when that is killed (Linux).

    One that was orphaned before hears of it by the end of its standard input.
    """
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - of children alone

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def work_folder(root: Path, name: str) -> Path:
    """A new folder below `root` that the next start knows as this process's."""
    folder = root / f"{name}-{_host()}-{os.getpid()}-{secrets.token_hex(6)}"
    folder.mkdir(mode=0o700, parents=True)
    return folder


@contextmanager
def passing_folder(root: Path, name: str) -> Iterator[Path]:
    """A folder of work that is gone afterwards, whatever a child left in it."""
    folder = work_folder(root, name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left(root: Path, *names: str, others: bool = False) -> int:
    """Removes the work folders of these names whose process is gone (`others`: everything else too); how many there were.

    Called before this process makes its own. Another host's (replicas may share the folder) goes when it is days old.
    """
    count = 0
    for folder in root.iterdir() if root.is_dir() else ():
        name, host, number, *_ = (*folder.name.split("-"), "", "", "")
        ours = name in names and number.isascii() and number.isdigit()
        if (ours and _in_use(folder, host, int(number))) or not (ours or others):
            continue
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
        else:
            folder.unlink(missing_ok=True)
        count += 1
    return count


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _in_use(folder: Path, host: str, number: int) -> bool:
    """Whether the process that made a folder may live. In containers process numbers begin anew: our own number is not ours yet."""
    if host == _host():
        return number != os.getpid() and _lives(number)
    return time.time() - folder.stat().st_mtime < _FOREIGN_SECONDS


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
