"""Question and grants in, plan out: `planner/*.txt` hold the pairs. A plan that moves is looked at, then written anew.

`python -m tests.golden.test_planner` writes the files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.errors import AgreementMissing
from app.federation.planning.planner import Planner
from app.federation.question.binder import RawQuery, bind
from app.federation.question.query import DatasetRef, Grant
from app.federation.reading.leg import request_of
from app.filters.cql2.parse import parse_filter
from tests.support.memory import FACILITIES, MemoryDataset

FOLDER = Path(__file__).parent / "planner"
OPEN = frozenset(FACILITIES.open_fields)
ALL = frozenset(FACILITIES.fields)
CASES: dict[str, tuple[RawQuery, list[Grant | None]]] = {
    "list-of-open-fields": (RawQuery(), [Grant(OPEN), Grant(ALL)]),
    "denied-beside-allowed": (RawQuery(filter="jenis = 'klinik'"), [Grant(OPEN), None]),
    "filter-on-withheld-field": (RawQuery(filter="email_kontak LIKE 'a%'"), [Grant(OPEN), Grant(ALL)]),
    "sort-on-masked-field": (RawQuery(sort=("-nama",)), [Grant(ALL, masks={"nama": "last4"}), Grant(ALL)]),
    "row-filter-first": (
        RawQuery(filter="nama > 'P'", fields=("nama",), limit=10),
        [Grant(ALL, row_filter=parse_filter("kode_wilayah LIKE '33.20%'"))],
    ),
    "masks": (RawQuery(fields=("nama", "alamat")), [Grant(ALL, masks={"nama": "hash", "alamat": "hide"})]),
    "masked-key": (RawQuery(), [Grant(ALL, masks={"kode_faskes": "hash"})]),
    "look-up": (RawQuery(key="P1"), [Grant(OPEN), Grant(ALL, row_filter=parse_filter("jenis = 'klinik'"))]),
}


def planned(raw: RawQuery, grants: list[Grant | None]) -> str:
    query, source, lines = bind(FACILITIES, raw), MemoryDataset(), []
    refs = [
        DatasetRef(f"opd-{index}", f"set-{index}", 1, source, grant, None if grant else AgreementMissing("none"))
        for index, grant in enumerate(grants)
    ]
    for scan in Planner().plan(query, refs):
        lines.append(f"{scan.ref.agency}: {scan.left_out or 'asked'}")
        if scan.left_out is not None:
            lines.append(f"  because  {scan.problem.detail if scan.problem else ''}")
            continue
        request = request_of(query, scan, None)
        for name, value in (
            ("gives", ", ".join(scan.fields)),
            ("withholds", ", ".join(scan.withheld)),
            ("masks", dict(scan.masks) or ""),
            ("key", request.key or ""),
            ("filter", request.filter),
            ("order", request.order or ""),
            ("limit", request.limit),
            ("why", "; ".join(scan.why)),
        ):
            lines.append(f"  {name:<10}{value}".rstrip())
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", CASES)
def test_plan_is_the_golden_one(name: str) -> None:
    assert planned(*CASES[name]) == (FOLDER / f"{name}.txt").read_text("utf-8")


def test_every_golden_plan_has_its_case() -> None:
    assert {file.stem for file in FOLDER.glob("*.txt")} == set(CASES)


def test_plan_is_kept_until_revision_or_policy_moves() -> None:
    planner, source = Planner(), MemoryDataset()
    first, second = (bind(FACILITIES, RawQuery(filter=f"nama = '{name}'")) for name in "ab")

    def scan(query: Any = first, revision: int = 1, **grant: Any) -> Any:
        made = Grant(**{"fields": ALL, **grant})
        return planner.plan(query, [DatasetRef("opd", "set", revision, source, made)])[0]

    kept = scan()
    assert scan(second).fields is kept.fields
    assert len(planner._kept) == 1
    assert scan(revision=2).ref.revision == 2
    assert scan(fields=OPEN).withheld == ("email_kontak",)
    assert scan(masks={"nama": "hide"}).left_out == "skipped"
    assert scan(row_filter=parse_filter("jenis = 'klinik'")).row_filter is not None
    assert len(planner._kept) == 5


if __name__ == "__main__":
    for case, given in CASES.items():
        (FOLDER / f"{case}.txt").write_text(planned(*given), "utf-8")
