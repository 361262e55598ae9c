"""Which tests go to one worker: those that share something that is dear to start.

The parts of a run that xdist hands out are made from the names of the tests, because the process that hands them out
knows nothing else of them, and xdist 3.8 loses the mark `xdist_group` under pytest 9.2 (pytest-xdist issue 1386). The
parts with the most tests are handed out first; a test of a file that shares nothing is a part of its own.
"""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling

STORED = re.compile(r"tests/integration/api/(\w+)\.py::\w+\[(sqlite|postgresql)\b")
MARIADB = (
    "tests/contract/connectors/test_sql_mariadb.py",
    "tests/integration/connectors/test_ordered_reads.py",
    "tests/hostile/test_a_client_that_leaves.py",
)
ACCEPTANCE = (
    "tests/acceptance/test_thirteen_files.py",
    "tests/acceptance/test_made_by_us.py::test_file_that_is_not_in_its_encoding_is_told",
)
WHOLE = (
    "tests/architecture/test_sizes.py",
    "tests/contract/connectors/",
    "tests/hostile/",
    "tests/integration/",
    "tests/isolation/",
    "tests/unit/",
)
"""Below these the tests of a file share a server, or what they do is over at once."""


def part_of(test: str) -> str:
    """The name of the part that a test belongs to."""
    stored = STORED.match(test)
    if stored is not None:
        return f"{stored[1]} on {stored[2]}"
    if test.startswith(MARIADB):
        return "mariadb"
    if test.startswith(ACCEPTANCE):
        return "acceptance"
    if test.startswith(WHOLE):
        return test.partition("::")[0]
    return test


class PartsScheduling(LoadScopeScheduling):
    """Hands out parts."""

    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid)
