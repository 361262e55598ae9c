"""Doors without a limit on what is read: two agencies of many records each, and the memory of the gateway while it answers.

Every tenth key of the second agency is one of the first, and every hundredth of these says otherwise.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests.integration.api.conftest import facility_manifest
from tests.support.gateway import RunningGateway

BASE = "/v1/records/fasilitas-kesehatan"
MOST_GROWTH = 300 << 20
COUNTS = [{"function": "count"}, {"function": "count_distinct", "field": "kode_faskes", "as": "kode"}]


class Many:
    """A gateway over `count` records, the larger part with the first agency."""

    def __init__(self, gateway: RunningGateway, folder: Path, count: int) -> None:
        self.gateway, self.count = gateway, count
        self.second = count // 6
        self.first = count - self.second
        self.shared = (self.second + 9) // 10
        self._provide(folder, "dinkes", self.first, lambda number: number)
        self._provide(folder, "rsud", self.second, lambda number: number if number % 10 == 0 else number + count)
        self.reader = gateway.client("client", "dinkes")
        self.reader.timeout = httpx.Timeout(900)

    def _provide(self, folder: Path, agency: str, rows: int, number_of: Any) -> None:
        file = folder / f"{agency}.db"
        named = "Faskes lain" if agency == "rsud" else "Faskes"
        with sqlite3.connect(file) as database:
            database.execute("CREATE TABLE faskes (kode TEXT PRIMARY KEY NOT NULL, nama TEXT, jenis TEXT)")
            database.executemany(
                "INSERT INTO faskes VALUES (?, ?, ?)",
                (
                    (
                        f"K{number:08}",
                        named if number % 1000 == 0 else "Faskes",
                        "klinik" if number % 3 else "puskesmas",
                    )
                    for number in map(number_of, range(rows))
                ),
            )
        database.close()
        self.gateway.agency(agency)
        self.gateway.upload(agency, file)
        manifest = facility_manifest(f"{agency}-faskes", agency)
        source = {"kind": "sql", "url": f"sqlite:inbox/{agency}.db", "table": "faskes"}
        self.gateway.publish({**manifest, "source": source})

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.reader.post(f"{BASE}/{path}", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert found["complete"] is True
        return found


class Memory:
    """The most that the process of a gateway held while this was open, above what it held before."""

    def __init__(self, pid: int) -> None:
        self._file = Path(f"/proc/{pid}/status")
        self._before = self._most = self._held()
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._look)

    @property
    def growth(self) -> int:
        return self._most - self._before

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._stop.wait(0.05):
            self._most = max(self._most, self._held())

    def _held(self) -> int:
        lines = self._file.read_text("ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(120_000, id="120-thousand"),
        pytest.param(2_000_000, id="two-million", marks=pytest.mark.slow),
    ],
)
def many(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    folder = tmp_path_factory.mktemp("many")
    environment = {
        "SIMPUL_REQUEST_SECONDS": "900",
        "SIMPUL_SOURCE_DEADLINE_SECONDS": "300",
        "SIMPUL_CHECK_ROWS": "1000",
    }
    gateway = RunningGateway(folder / "instance", environment)
    gateway.init()
    gateway.start()
    try:
        yield Many(gateway, folder, request.param)
    finally:
        code = gateway.stop()
    assert code == 0


def test_everything_is_counted(many: Many) -> None:
    with Memory(many.gateway.pid) as memory:
        found = many.post("aggregate", {"group_by": ["jenis"], "aggregates": COUNTS})
    items = {item["jenis"]: item for item in found["items"]}
    assert sum(item["count"] for item in items.values()) == many.count
    assert sum(item["kode"] for item in items.values()) == many.count - many.shared
    assert found["meta"]["overlap"]["keys"] == many.shared
    assert memory.growth <= MOST_GROWTH


def test_every_key_is_counted_once_in_the_merged_view(many: Many) -> None:
    with Memory(many.gateway.pid) as memory:
        found = many.post("aggregate", {"view": "merged", "aggregates": COUNTS})
    keys = many.count - many.shared
    assert found["items"] == [{"count": keys, "kode": keys}]
    assert found["meta"]["overlap"]["keys"] == many.shared
    assert memory.growth <= MOST_GROWTH


def test_merged_view_goes_on_behind_what_it_gave(many: Many) -> None:
    body = {"view": "merged", "limit": 1000, "fields": ["kode_faskes"]}
    with Memory(many.gateway.pid) as memory:
        given, cursor = list[str](), None
        for _ in range(5):
            page = many.post("search", {**body, **({"cursor": cursor} if cursor else {})})
            given += [item["kode_faskes"] for item in page["items"]]
            cursor = page["next_cursor"]
            # no more is read than the page needs, whatever its place
            assert sum(source["rows"] for source in page["sources"]) <= 3000
    assert given == [f"K{number:08}" for number in range(5000)]
    assert memory.growth <= MOST_GROWTH


def test_disagreements_are_found_however_far_apart(many: Many) -> None:
    found, cursor = list[str](), None
    with Memory(many.gateway.pid) as memory:
        while True:
            params = {"limit": 1000, **({"cursor": cursor} if cursor else {})}
            page = many.reader.get(f"{BASE}/conflicts", params=params).json()
            found += [item["id"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    assert found == [f"K{number:08}" for number in range(0, many.second, 1000)]
    assert memory.growth <= MOST_GROWTH


def test_feed_compares_everything_and_then_nothing_has_moved(many: Many) -> None:
    with Memory(many.gateway.pid) as memory:
        first = many.reader.get(f"{BASE}/changes", params={"limit": 1000, "agencies": "dinkes"})
        assert first.status_code == 200, first.text
        page = first.json()
        again = many.reader.get(
            f"{BASE}/changes", params={"limit": 1000, "agencies": "dinkes", "since": page["next_cursor"]}
        ).json()
    keys = [item["id"] for item in (*page["items"], *again["items"])]
    assert keys == [f"K{number:08}" for number in range(2000)]
    assert {item["change"] for item in page["items"]} == {"upsert"}
    assert page["items"][7]["record"]["nama"] == "Faskes"
    assert page["has_more"] is again["has_more"] is True
    assert [source["rows"] for source in page["sources"]] == [many.first]
    assert memory.growth <= MOST_GROWTH
