"""The decisions of docs/adr: one form for all, and an index that lists each of them as it is."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

ADR = Path(__file__).resolve().parents[2] / "docs" / "adr"
PAGES = sorted(ADR.glob("[0-9]*.md"))
UNUSED = {5, 6, 25, 29}
HEAD = re.compile(
    r"# (\d+)\. (\S.+)\n\nDate: (\d{4}-\d{2}-\d{2})\n\nStatus: (proposed|accepted|superseded by \d{4})\n\n## "
)
ROW = re.compile(r"^\| (\d{4}) \| \[(.+)\]\((.+)\) \| (\S+) \| (.+) \|$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name[:4])
def test_a_decision_has_the_form_of_all(page: Path) -> None:
    text = page.read_text("utf-8")
    head = HEAD.match(text)
    parts = re.findall(r"^## (.+)$", text, re.MULTILINE)

    assert head is not None, page.name
    assert int(head[1]) == int(page.name[:4])
    assert date.fromisoformat(head[3])
    assert parts in (["Context", "Decision", "Consequences"], ["Context", "Decision", "Consequences", "Alternatives"])
    assert "**Context" not in text


def test_the_index_lists_every_decision_and_says_which_numbers_are_not_used() -> None:
    index = (ADR / "README.md").read_text("utf-8")
    heads = [(page, HEAD.match(page.read_text("utf-8"))) for page in PAGES]
    wanted = [(page.name[:4], head[2], page.name, head[3], head[4]) for page, head in heads if head is not None]

    assert ROW.findall(index) == wanted
    numbers = [int(row[0]) for row in wanted]
    assert set(range(1, max(numbers) + 1)) - set(numbers) == UNUSED
    assert "The numbers 0005 and 0006 are not used" in index
