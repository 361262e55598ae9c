"""Plans of look-ups that are kept: which datasets are asked, under which grants, and what the exchange notes.

A plan holds while access snapshot and datasets are the same objects and the local day is the same.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import date

from app.access.snapshot import AccessSnapshot
from app.audit.entry.record import DatasetUse
from app.federation.question.query import DatasetRef
from app.gateway.exchange import Authority, Exchange
from app.gateway.sources import OpenDataset

PLANS_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Plan:
    """A look-up but for its key: the datasets to ask, what the exchange notes, and what it was made from."""

    snapshot: AccessSnapshot
    datasets: tuple[OpenDataset, ...]
    day: date
    fields: tuple[str, ...] | None
    limit: int
    agencies: tuple[str, ...] | None
    refs: tuple[DatasetRef, ...]
    providers: tuple[str, ...]
    uses: tuple[DatasetUse, ...]
    authority: Authority
    structure: str | None

    def note(self, exchange: Exchange) -> None:
        """Writes the decision and the datasets into the exchange, as `records.authorise` does."""
        exchange.authorised(self.authority)
        exchange.touches(self.providers, self.uses)
        exchange.asks(structure=self.structure)


class PlanCache:
    """Plans of allowed look-ups by caller and question. Bounded; the oldest goes first."""

    def __init__(self, *, most: int = PLANS_KEPT) -> None:
        self._most = most
        self._plans: OrderedDict[tuple[object, ...], Plan] = OrderedDict()

    def find(
        self, mark: tuple[object, ...], snapshot: AccessSnapshot, datasets: tuple[OpenDataset, ...], day: date
    ) -> Plan | None:
        """The kept plan, if nothing moved since it was made."""
        plan = self._plans.get(mark)
        if plan is None or plan.snapshot is not snapshot or plan.datasets is not datasets or plan.day != day:
            return None
        return plan

    def keep(self, mark: tuple[object, ...], plan: Plan) -> None:
        """Keeps a plan that was allowed: its words are all known ones."""
        self._plans[mark] = plan
        self._plans.move_to_end(mark)
        if len(self._plans) > self._most:
            self._plans.popitem(last=False)
