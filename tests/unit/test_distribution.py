"""The parts that a run is handed out in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.distribution import ACCEPTANCE, MARIADB, WHOLE, part_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("test", "part"),
    [
        ("tests/integration/api/test_log.py::test_a[sqlite]", "test_log on sqlite"),
        ("tests/integration/api/test_log.py::test_a[postgresql-x]", "test_log on postgresql"),
        ("tests/integration/api/test_log.py::test_a", "tests/integration/api/test_log.py"),
        ("tests/hostile/test_bombs.py::test_a[x]", "tests/hostile/test_bombs.py"),
        ("tests/contract/connectors/test_sql_mariadb.py::TestIt::test_a", "mariadb"),
        ("tests/contract/connectors/test_rest.py::TestIt::test_a", "tests/contract/connectors/test_rest.py"),
        ("tests/unit/schemas/test_rows.py::test_a[x::y]", "tests/unit/schemas/test_rows.py"),
        ("tests/contract/audit/test_append.py::test_a[sqlite]", "tests/contract/audit/test_append.py::test_a[sqlite]"),
    ],
)
def test_tests_that_share_a_server_are_one_part(test: str, part: str) -> None:
    assert part_of(test) == part


@pytest.mark.parametrize("name", [*ACCEPTANCE, *MARIADB, *WHOLE])
def test_a_part_is_of_something_that_is_there(name: str) -> None:
    file, _, test = name.partition("::")

    assert (ROOT / file).exists()
    assert f"def {test}" in ((ROOT / file).read_text("utf-8") if test else "def ")
