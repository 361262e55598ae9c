"""Processes of our own that are forked from one that has their code loaded: a worker in milliseconds, not in the time of its imports.

The gateway's side is `Nursery`, the child's `fork_for_each`. Nothing of the gateway goes there but one
socket to talk through: no environment, no key. A nursery ends with the gateway, a worker with its nursery.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Final

from app.children import bare_environment, end_with_parent

_NUMBER_BYTES: Final = 8
_NICE: Final = 5
"""Workers do bulk work: where there is one core too few, whoever answers a look-up goes first."""


class NurseryDied(OSError):
    """No process could be forked."""


class Nursery:
    """The loaded process that workers are forked from; started when first needed. Called from any thread."""

    def __init__(self, program: str, environment: Mapping[str, str] | None = None) -> None:
        """`program`: Python that calls `fork_for_each`; `environment`: what it is given beside a bare one."""
        self._program = program
        self._environment = environment or {}
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def start(self) -> None:
        """Starts it, unless it lives."""
        with self._lock:
            self._started()

    def fork(self) -> tuple[socket.socket, int]:
        """A new worker: the socket to it, and a descriptor of its process (numbers are given anew, descriptors are not).

        Blocks until the worker is there; raises `NurseryDied`.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._send(theirs)
            return ours, os.pidfd_open(_number(ours))
        except OSError as error:
            ours.close()
            raise NurseryDied(error.errno, "no process could be started") from None

    @property
    def pid(self) -> int:
        """The loaded process, 0 when none was started."""
        return 0 if self._process is None else self._process.pid

    def stop(self) -> None:
        """Lets it end."""
        if self._owner != os.getpid():  # a fork of the process that it belongs to
            return
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
        self._control = self._process = None

    def _send(self, theirs: socket.socket) -> None:
        with self._lock:
            try:
                socket.send_fds(self._started(), [b"w"], [theirs.fileno()])
            except OSError:
                self.stop()
                socket.send_fds(self._started(), [b"w"], [theirs.fileno()])

    def _started(self) -> socket.socket:
        if self._owner != os.getpid():
            self._owner, self._control, self._process = os.getpid(), None, None
            atexit.register(self.stop)
        if self._control is not None and self._process is not None and self._process.poll() is None:
            return self._control
        self.stop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # -P: this gateway's own code, also where the folder it was started in holds another `app`.
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", "-c", self._program, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                env={**bare_environment(), **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._control = ours
        return ours


def fork_for_each(serve: Callable[[socket.socket], None]) -> None:
    """In the child: forks a worker that serves the socket for each one that arrives; ends when the gateway does."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.nice(_NICE)
    with socket.socket(fileno=int(sys.argv[1])) as control:
        while True:
            message, found, _, _ = socket.recv_fds(control, 1, 1)
            if not message:
                return
            if os.fork() == 0:
                control.close()
                with contextlib.suppress(Exception), socket.socket(fileno=found[0]) as ours:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    end_with_parent()
                    ours.sendall(os.getpid().to_bytes(_NUMBER_BYTES, "big"))
                    serve(ours)
                os._exit(0)
            os.close(found[0])


def _number(worker: socket.socket) -> int:
    told = worker.recv(_NUMBER_BYTES, socket.MSG_WAITALL)
    if len(told) < _NUMBER_BYTES:
        raise BrokenPipeError
    return int.from_bytes(told, "big")
