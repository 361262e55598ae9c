"""The keys on the page about practice are those that play."""

from __future__ import annotations

from pathlib import Path

from app.datasets.practice.records import CASES, synthetic
from app.schemas.registry import all_schemas

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "practise.md"


def test_the_page_tells_the_key_of_each_case_of_every_schema() -> None:
    lines = PAGE.read_text("utf-8").splitlines()
    head = "| schema | " + " | ".join(f"`{case}`" for case in CASES) + " |"
    told = lines[lines.index(head) + 2 :]
    assert told == [
        f"| `{schema.name}` | " + " | ".join(f"`{synthetic(schema).keys[case]}`" for case in CASES) + " |"
        for schema in all_schemas()
    ]


def test_every_case_is_explained() -> None:
    explained = [line.split("`")[1] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert set(CASES) <= set(explained)
