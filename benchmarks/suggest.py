"""How much of a steward's work `suggest` does: its proposals for the thirteen files beside the manifests of the acceptance tests.

Each source is registered as a draft with nothing but its address; the proposed manifest is sent as it stands. Told are, of the fields
that the acceptance manifests map: those whose first proposal is right (it reads the same columns, or gives the same values), and those
whose values are the same in (almost) all of the first 100 records. Names that a steward invents (codes of indicators, prefixes of other systems) count as the same where they are one to one.
A field whose value stands in no column (`const`: a source's name, a year) counts too, and is told apart.
`python -m benchmarks.suggest [--show]`.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.support.acceptance_files import real_files, which_files, write_lookalikes
from tests.support.acceptance_gateway import UNREADABLE, gateway_with_files, manifests
from tests.support.gateway import RunningGateway

ALMOST_ALL = 0.95
_STATED = ("kind", "location", "url", "table", "mode")


def columns_of(mapping: Any, names: Sequence[str]) -> frozenset[str]:
    """The raw columns that a mapping reads, objects by their first member."""
    if isinstance(mapping, str):
        return frozenset({re.split(r"[.\[]", mapping.removeprefix("$."))[0] if mapping.startswith("$.") else mapping})
    if isinstance(mapping, list):
        return frozenset().union(*(columns_of(one, names) for one in mapping))
    found: set[str] = set()
    for key, value in mapping.items():
        if key == "from":
            found |= columns_of(value, names)
        elif key in {"expr", "if"}:
            found |= {name for name in names if re.search(rf"(?<![\w']){re.escape(name)}(?![\w'])", str(value))}
        elif key == "when":
            found |= columns_of(value, names)
    return frozenset(found)


def same(wanted: Mapping[str, Any], proposed: Mapping[str, Any], field: str) -> bool:
    """Whether the values of a field are the same at the same records; names that are invented need only be one to one."""
    pairs = [(row.get(field), proposed.get(at, {}).get(field)) for at, row in wanted.items()]
    if not pairs or (all(other is None for _, other in pairs) and any(value is not None for value, _ in pairs)):
        return False
    equal = sum(_plain(value) == _plain(other) for value, other in pairs)
    if equal >= ALMOST_ALL * len(pairs):
        return True
    texts = {(str(value), str(other)) for value, other in pairs}
    invented = field == "kode_indikator" or all(":" in value for value, _ in texts)
    one_to_one = len(texts) == len({value for value, _ in texts}) == len({other for _, other in texts})
    return invented and one_to_one


def _plain(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def mapped(gateway: RunningGateway, connector: str) -> dict[str, Any]:
    """The first 100 records of a connector's latest revision by where they stand."""
    shown = gateway.admin.post(f"/v1/connectors/{connector}/preview?limit=100").raise_for_status().json()["items"]
    return {row["place"]: row["mapped"] for row in shown if row["mapped"] is not None}


def tried(
    gateway: RunningGateway, name: str, wanted: dict[str, Any], *, show: bool
) -> tuple[dict[str, bool], dict[str, bool]]:
    """Of each field whether its proposal reads the same columns, and whether its values are the same."""
    source = {key: value for key, value in wanted["source"].items() if key in _STATED}
    connector = f"usul-{name}"
    draft = {
        "connector": connector,
        "agency": wanted["agency"],
        "schema": wanted["schema"],
        "title": wanted["title"],
        "source": source,
    }
    path = f"/v1/connectors/{connector}"
    gateway.admin.put(path, json=draft, headers={"If-None-Match": "*"}).raise_for_status()
    answer = gateway.admin.post(f"{path}/suggest").raise_for_status().json()
    if show:
        print(answer["manifest"])
    names = [row["name"] for row in gateway.admin.post(f"{path}/discover").raise_for_status().json()["columns"]]
    proposed = yaml.safe_load(answer["manifest"]).get("fields") or {}
    stated = wanted["source"].get("columns", ())
    places = {given: f"column_{at}" for at, given in enumerate(stated, 1)}
    read = wanted.get("read", {}).get("unpivot")
    made = {read["name"]: "indikator", read["value"]: "nilai"} if read else {}
    reads = {}
    for field, mapping in wanted["fields"].items():
        ours = columns_of(mapping, [*names, *stated, *made])
        ours = frozenset(places.get(one, made.get(one, one)) for one in ours)
        theirs = columns_of(proposed.get(field, []), [*names, *made.values()])
        reads[field] = field in proposed and ours == theirs
    headers = {"If-Match": gateway.admin.get(path).headers["etag"], "content-type": "application/yaml"}
    sent = gateway.admin.put(path, content=answer["manifest"].encode(), headers=headers)
    if sent.is_error:
        if show:
            print(sent.json()["detail"])
        return reads, dict.fromkeys(reads, False)
    both = mapped(gateway, wanted["connector"]), mapped(gateway, connector)
    return reads, {field: same(*both, field) for field in reads}


def main() -> None:
    """Prints the shares."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--show", action="store_true", help="Print every proposal")
    given = parser.parse_args()
    sums: dict[str, list[int]] = {"all fields": [0, 0, 0], "fields that a column tells": [0, 0, 0]}
    with tempfile.TemporaryDirectory() as place:
        data = real_files() or write_lookalikes(Path(place))
        with gateway_with_files(data, Path(place)) as (gateway, server):
            for name, wanted in manifests(server):
                if name == UNREADABLE:
                    continue
                reads, values = tried(gateway, name, wanted, show=given.show)
                missed = [field for field in reads if not values[field]]
                print(
                    f"{name}: {sum(reads.values())} and {sum(values.values())} of {len(reads)}; not the same: {', '.join(missed) or '-'}"
                )
                for field, mapping in wanted["fields"].items():
                    constant = isinstance(mapping, dict) and "const" in mapping
                    for kind in ("all fields", *(() if constant else ("fields that a column tells",))):
                        sums[kind][0] += 1
                        sums[kind][1] += reads[field] or values[field]
                        sums[kind][2] += values[field]
    print(which_files())
    for kind, (count, right, equal) in sums.items():
        print(
            f"suggest, {kind}: right at first place {right} of {count} ({right / count:.0%}); the same values {equal} ({equal / count:.0%})"
        )


if __name__ == "__main__":
    main()
