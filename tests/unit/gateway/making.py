"""Exchanges, a log in memory and opened datasets, as the tests of the gateway's rooms use them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from app.access.principals import Principal
from app.audit.entry import members as rules
from app.audit.entry.record import Gateway, Record, members
from app.audit.keys.subjects import normalise
from app.errors import SimpulError
from app.gateway.exchange import Exchange, Names
from app.gateway.sources import OpenDataset
from app.schemas.registry import SchemaDef
from tests.support.memory import FACILITIES, MemoryDataset

NAMES = Names("ID-JEPARA", Gateway("one", "0.1.0"), {"rsud": "COM"})
CALLER = Principal("rsud-app", "rsud", "client", "thumb-rsud-app")


def make_exchange(**facts: Any) -> Exchange:
    """An exchange of `rsud-app` that lists records, with these facts instead of the usual ones."""
    usual: dict[str, Any] = {"op": "list", "closing": "outcome", "principal": CALLER, "names": NAMES}
    return Exchange(**{"address": "127.0.0.1", "request": "GET /v1/records/{schema}", **usual, **facts})


class MemoryLog:
    """Keeps records that the format of entries allows; `fault` is the answer to the next hand-over, `late` lets it wait."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.fault: SimpulError | None = None
        self.late: asyncio.Future[Any] | None = None

    def submit(self, records: Sequence[Record]) -> asyncio.Future[Any]:
        """As the exchange log does: all of them or none."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            if self.fault is not None:
                raise self.fault
            for one in records:
                rules.check(members(one.entry))
                for subject in one.subjects:
                    normalise(subject.value)
        except SimpulError as error:
            done.set_exception(error)
            return done
        self.records += records
        if self.late is not None:
            return self.late
        done.set_result(None)
        return done

    def kinds(self) -> list[str]:
        """Kinds of the entries, in order."""
        return [one.entry.kind for one in self.records]

    def detail(self, place: int = -1) -> Mapping[str, Any]:
        """The detail of one entry."""
        return self.records[place].detail or {}


def open_dataset(
    agency: str, schema: SchemaDef = FACILITIES, *, name: str | None = None, retired: bool = False
) -> OpenDataset:
    """The dataset `<agency>-set` in memory."""
    source = MemoryDataset(schema=schema)
    return OpenDataset(agency, name or f"{agency}-set", 1, schema, source, None, retired=retired)
