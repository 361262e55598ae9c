"""A forked program is a process like any other: its arguments, folder, environment, streams, signals and exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import programs


def python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return programs.run([sys.executable, "-c", code, *words], env={**os.environ, "UJI": "ya"})


def test_it_has_arguments_an_environment_and_a_process_of_its_own() -> None:
    done = python("import sys, os, json; print(json.dumps([sys.argv, os.environ['UJI'], os.getpid()]))", "a", "b c")
    words, value, process = json.loads(done.stdout)

    assert (words, value, done.returncode) == (["-c", "a", "b c"], "ya", 0)
    assert process != os.getpid()
    assert "UJI" not in os.environ


@pytest.mark.parametrize(
    ("code", "ends", "complaint"),
    [
        ("pass", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('so')", 1, "so\n"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import atexit, sys; atexit.register(lambda: sys.stderr.write('end')); sys.exit(2)", 2, "end"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, ""),
        ("import threading, time, os; threading.Thread(target=lambda: (time.sleep(0.1), os._exit(7))).start()", 7, ""),
    ],
)
def test_its_end_is_that_of_an_interpreter(code: str, ends: int, complaint: str) -> None:
    forked = python(code)
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (forked.returncode, started.returncode) == (ends, ends)
    assert complaint in forked.stderr
    assert complaint in started.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_it_is_ended_by_signals_and_works_where_it_is_told_to(tmp_path: Path, how: signal.Signals) -> None:
    code = "import os, time; print(os.getcwd(), flush=True); time.sleep(60)"
    process = programs.start([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path)
    with process.stdout:
        assert process.stdout.readline().decode().strip() == str(tmp_path)
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.01)
        process.send_signal(how)
        assert process.wait(timeout=20) == -how
        process.kill()
    assert process.poll() == -how
