"""Python programs of the project as processes of their own, forked from one that has imported the code already.

`start(command)` is `subprocess.Popen` for a command `[sys.executable, "-c" or "-m", …]`: arguments, environment, folder,
standard streams and signals of the process are its own, and so is the code it runs from `main()` to its exit code. What is left
out is reading the imports, which takes longer than most programs need. Outside a test run (benchmarks) every start is
one of the interpreter; `tests/integration/operate` starts some that way too.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn, Protocol

ROOT = Path(__file__).resolve().parents[2]
SIMPUL = (sys.executable, "-c", "from app.cli.main import main; main()")
LOADED = (
    "app.cli.demo",
    "app.cli.serving",
    *(
        f"app.cli.{name}"
        for name in ("apply", "backups", "extensions", "logs", "new_connector", "remote_codes", "token_keys", "witness")
    ),
    "tests.support.log_child",
    # What the product imports late, or a library of it does.
    "aiosqlite",
    "app.audit.store.tables",
    "pandas",
    "pyarrow.pandas_compat",
    "sqlglot.dialects.duckdb",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)
_MESSAGE_BYTES = 1 << 20


class Process(Protocol):
    """What tests do with a process."""

    pid: int
    stdout: Any

    def poll(self) -> int | None:
        """The exit code, None while it runs; negative for the signal that ended it."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, when it has ended."""

    def send_signal(self, sig: int, /) -> None:
        """Nothing happens when it has ended."""

    def kill(self) -> None:
        """As a power cut."""


def start(
    command: Sequence[str],
    *,
    stdout: IO[Any] | int | None = None,
    stderr: IO[Any] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Process:
    """The running program. `stdout=subprocess.PIPE` makes it a stream of bytes, as in `subprocess`."""
    if _nursery is None:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=env, cwd=cwd)
    request = {"command": list(command)[1:], "env": dict(env or os.environ), "cwd": str(cwd or Path.cwd())}
    complains = 2 if stderr is None else stderr.fileno()
    if stdout != subprocess.PIPE:
        return _nursery.born(request, 1 if stdout is None else stdout.fileno(), complains)
    reading, writing = os.pipe()
    try:
        process = _nursery.born(request, writing, complains)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    process.stdout = os.fdopen(reading, "rb")
    return process


def run(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The program from its start to its end, with what it said."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        process = start(command, stdout=said, stderr=complained, env=env)
        try:
            code = process.wait(timeout=180)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        texts = []
        for file in (said, complained):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    return subprocess.CompletedProcess(list(command), code, *texts)


def simpul(*words: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command line of the product, run to its end; `variables` are added to the environment."""
    return run([*SIMPUL, *words], env={**os.environ, **variables} if variables else None)


# --- the side of the tests -----------------------------------------------------------------------------------------


class Forked:
    """A process that the nursery forked; the pipe `ended` brings its exit code."""

    def __init__(self, pid: int, ended: int) -> None:
        self.pid = pid
        self.stdout: IO[bytes] | None = None
        self.returncode: int | None = None
        self._ended = ended

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, sig: int, /) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._ended, select.POLLIN)
            if poll.poll(None if seconds is None else seconds * 1000):
                # Nothing in the pipe: the nursery is gone, and its children with it.
                self.returncode = int(os.read(self._ended, 16) or b"-9")
                os.close(self._ended)
        return self.returncode


class _Nursery:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def born(self, request: dict[str, Any], stdout: int, stderr: int) -> Forked:
        text = json.dumps(request).encode()
        assert len(text) < _MESSAGE_BYTES
        ended, end = os.pipe()
        try:
            with self._lock:
                opened = self._socket = self._socket or self._open()
                socket.send_fds(opened, [text], [stdout, stderr, end])
                pid = int(opened.recv(16))
        except BaseException:
            os.close(ended)
            raise
        finally:
            os.close(end)
        return Forked(pid, ended)

    @staticmethod
    def _open() -> socket.socket:
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,
            )

        def end() -> None:
            mine.close()
            process.wait()

        atexit.register(end)
        return mine


_nursery: _Nursery | None = None


def fork_from_now_on() -> None:
    """A test run begins. The nursery is started by the first program, and ends with this process."""
    global _nursery  # noqa: PLW0603 - one a process
    _nursery = _nursery or _Nursery()


# --- the side of the nursery ---------------------------------------------------------------------------------------


def _serve(number: int) -> None:
    """Forks until the other end is closed. Returns in the children alone, made ready to run `sys.argv`."""
    for name in LOADED:
        importlib.import_module(name)

    gc.collect()
    gc.freeze()
    asked = socket.socket(fileno=number)
    running: dict[int, tuple[int, int]] = {}
    with selectors.DefaultSelector() as ready:
        ready.register(asked, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj is not asked:
                    ready.unregister(key.fileobj)
                    pid, end = running.pop(int(key.fd))
                    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                    with contextlib.suppress(BrokenPipeError):
                        os.write(end, str(code).encode())
                    os.close(end)
                    os.close(int(key.fd))
                    continue
                text, given, _, _ = socket.recv_fds(asked, _MESSAGE_BYTES, 3)
                if not text:
                    for pid, _ in running.values():
                        os.kill(pid, signal.SIGKILL)
                    os._exit(0)
                pid = os.fork()
                if pid == 0:
                    ready.close()
                    asked.close()
                    for watch, (_, end) in running.items():
                        os.close(watch)
                        os.close(end)
                    _become(json.loads(text), *given)
                    return
                for file in given[:2]:
                    os.close(file)
                watch = os.pidfd_open(pid)
                running[watch] = (pid, given[2])
                ready.register(watch, selectors.EVENT_READ)
                asked.send(str(pid).encode())


def _become(request: dict[str, Any], stdout: int, stderr: int, end: int) -> None:
    """The process as the interpreter would have found it."""
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    for file in (stdout, stderr, end):
        os.close(file)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = request["command"]


def _run() -> int:
    """The program's exit code, as the interpreter makes it."""
    how, what, *words = sys.argv
    sys.argv = [how, *words]
    try:
        if how == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)  # noqa: T201 - as the interpreter does
        return 1
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        return 1
    return 0


def _end(code: int) -> NoReturn:
    """What the interpreter does at its end, but for the taking apart of modules, which touches all that was shared."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
    _end(_run())
