"""Every numbered case of the log (1 to 29) has a test that carries its number."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def test_every_case_of_the_log_is_there():
    found: set[int] = set()
    for file in TESTS.rglob("test_*.py"):
        for numbers in re.findall(r"def test_hostile((?:_\d\d)+)_", file.read_text("utf-8")):
            found |= {int(number) for number in numbers.strip("_").split("_")}
    assert set(range(1, 30)) - found == set()
