"""The life of one exchange: opened with the request, intent before any source is asked, closed before any byte leaves.

Lives here: the facts of an exchange and the log records made from them. Does not live here: HTTP (`api/layer/exchange_layer.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from app.access.principals import Principal
from app.access.rates import Allowance
from app.audit.entry.commitments import BodyCommitment
from app.audit.entry.record import Caller, DatasetUse, Entry, Gateway, Record, SourceLeg, Subject, Verdict, uuid7
from app.audit.read.filters import CASE_TYPE
from app.errors import EntryInvalid, SimpulError
from app.federation.question.query import SourceStatus

ClosingKind = Literal["outcome", "admin", "audit_read"]
_LEAST_ERROR = 400
_ORDINARY_BYTES = 1024
_TOLD_CHARACTERS = 2000
_MOST_RECEIPTS = 20


class Log(Protocol):
    """The part of the exchange log that an exchange uses."""

    def submit(self, records: Sequence[Record]) -> asyncio.Future[Any]:
        """All of them durable, in this order, when the future gives a result; none when it gives an error."""


@dataclass(frozen=True, slots=True)
class Assertions:
    """What the caller asserts about the request: purpose, agreement, officer, case, represented party, its own name in X-Road,
    how old data may be.
    """

    purpose: str | None = None
    agreement: str | None = None
    officer: str | None = None
    case: str | None = None
    represented: str | None = None
    road_client: str | None = None
    max_age_seconds: float | None = None
    """0: the sources themselves; None: as each dataset has it."""


@dataclass(frozen=True, slots=True)
class Names:
    """How agencies stand in entries: `INSTANCE/CLASS/agency`, so that two gateways never mean two agencies by one name."""

    instance: str
    gateway: Gateway
    classes: Mapping[str, str] = field(default_factory=dict)

    def member(self, agency: str) -> str:
        """`ID-JEPARA/GOV/dinkes` for `dinkes`."""
        return f"{self.instance}/{self.classes.get(agency, 'GOV')}/{agency}"


@dataclass(frozen=True, slots=True)
class Authority:
    """An access decision as entries tell it."""

    allow: bool
    rule: str
    agreement: str | None = None
    purpose: str | None = None
    basis: str | None = None


@dataclass(frozen=True, slots=True)
class ReadOutcome:
    """What came of a read: records released, of which fields, how each source ended. None: nothing is to be said of it."""

    rows: int | None = None
    fields: tuple[str, ...] | None = None
    complete: bool | None = None
    sources: Sequence[SourceStatus] | None = None
    rejected: int | None = None
    """Where no sources tell it."""


@dataclass(slots=True, kw_only=True)
class ExchangeFacts:
    """Facts of one exchange, given whole by these methods as they become known; nobody sets them one by one.

    `request`: method, template of the route and names of the parameters. `question`: what an answered address asked for; of a
    refused one nothing is kept.
    """

    op: str
    closing: ClosingKind
    principal: Principal
    names: Names
    address: str = ""
    request: str = ""
    assertions: Assertions = field(default_factory=Assertions)
    id: str = field(default_factory=uuid7)
    started: float = field(default_factory=time.perf_counter)
    schemas: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    datasets: tuple[DatasetUse, ...] = ()
    agreement: str | None = None
    purpose: str | None = None
    basis: str | None = None
    allowed: bool | None = None
    rule: str | None = None
    structure: str | None = None
    fields: tuple[str, ...] = ()
    rows: int | None = None
    rejected: int | None = None
    complete: bool | None = None
    sources: Sequence[SourceStatus] = ()
    subjects: list[Subject] = field(default_factory=list)
    question: Mapping[str, Any] | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    fault: dict[str, Any] = field(default_factory=dict)
    """What went wrong, for the detail of the closing entry."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """Members of the detail that stand in the intent: the closing entry does not repeat them."""
    asked_bytes: int = 0
    """How much of the question stands in the detail."""
    intended: bool = False
    closed: bool = False
    mode: Literal["uji"] | None = None
    allowance: Allowance | None = None
    """What is left of the requests of the agreement that it rests on."""
    form: str = "json"
    """The format that was asked for."""
    under: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The agreements that sources are read under, each with its datasets."""

    def asks(
        self,
        *,
        op: str | None = None,
        schemas: Iterable[str] | None = None,
        structure: str | None = None,
        question: Mapping[str, Any] | None = None,
        size: int | None = None,
        form: str | None = None,
    ) -> None:
        """What is asked, as far as it is known: operation, schemas, closed description, the question for the detail and its bytes,
        the format.
        """
        self.form = form or self.form
        self.op = op or self.op
        self.schemas = self.schemas if schemas is None else tuple(schemas)
        self.structure = structure or self.structure
        self.question = self.question if question is None else question
        self.asked_bytes = self.asked_bytes if size is None else size

    def asserts(self, **assertions: Any) -> None:
        """What the caller asserts beside or instead of its headers."""
        self.assertions = replace(self.assertions, **assertions)

    def decide(self, *, allow: bool, rule: str) -> None:
        """Notes an access decision that rests on no agreement; the last one stands."""
        self.allowed, self.rule = allow, rule

    def authorised(self, authority: Authority, allowance: Allowance | None = None) -> None:
        """Notes an access decision with the agreement that it rests on, and what is left of its requests; the last one stands."""
        self.allowance = allowance
        self.allowed, self.rule = authority.allow, authority.rule
        self.agreement, self.purpose, self.basis = authority.agreement, authority.purpose, authority.basis

    @property
    def authority(self) -> Authority:
        """The decision that stands."""
        return Authority(bool(self.allowed), self.rule or "", self.agreement, self.purpose, self.basis)

    def reads_under(self, agreements: Mapping[str, tuple[str, ...]]) -> None:
        """The agreements that are read under, beside those that are known already."""
        self.under = {**self.under, **agreements}

    def touches(
        self, providers: Iterable[str], datasets: Iterable[DatasetUse] | None = None, *, agreement: str | None = None
    ) -> None:
        """Whose data it is about, and which datasets may be asked, each once, in this order; the agreement that is changed."""
        self.providers = tuple(dict.fromkeys(providers))
        self.agreement = agreement or self.agreement
        if datasets is not None:
            self.datasets = tuple(dict.fromkeys(datasets))

    def answered(self, outcome: ReadOutcome) -> None:
        """Notes what came of the read, also when it failed."""
        self.rows = self.rows if outcome.rows is None else outcome.rows
        self.fields = self.fields if outcome.fields is None else outcome.fields
        self.complete = self.complete if outcome.complete is None else outcome.complete
        self.rejected = self.rejected if outcome.rejected is None else outcome.rejected
        if outcome.sources is not None:
            self.sources = outcome.sources
            receipts = [receipt for source in outcome.sources for receipt in source.receipts]
            if receipts:
                self.detail["upstream"] = receipts[:_MOST_RECEIPTS]
            copies = {source.dataset: source.snapshot for source in outcome.sources if source.snapshot is not None}
            if copies:
                self.detail["snapshots"] = copies
            self.rejected = sum(source.rejected_rows for source in outcome.sources)

    def concerns(self, subject: Subject) -> None:
        """A person that it touches: found again by a tag, never by the identifier."""
        self.subjects.append(subject)

    def tells(self, **members: Any) -> None:
        """Members of the sealed detail."""
        self.detail.update(members)

    def failed(self, **members: Any) -> None:
        """What went wrong, for the detail of the closing entry; the last stands."""
        self.fault = dict(members)

    @property
    def detail_bytes(self) -> int:
        """How much its details take beyond what an ordinary request puts there (the rate of requests bounds those)."""
        said = self.assertions
        if not (self.asked_bytes or said.officer or said.case or said.represented or said.road_client):
            return 0
        texts = f"{said.officer}{said.case}{said.represented}{said.road_client}{self.request}"
        return max(self.asked_bytes + len(texts) - _ORDINARY_BYTES, 0)


@dataclass(slots=True, kw_only=True)
class Exchange(ExchangeFacts):
    """One exchange and its records: all of them are made from its facts."""

    def anew(self) -> Exchange:
        """A further exchange of the same request (a job's own): its facts so far under a new id, nothing of it recorded."""
        return replace(
            self,
            id=uuid7(),
            intended=False,
            closed=False,
            detail=dict(self.detail),
            told={},
            fault={},
            subjects=list(self.subjects),
        )

    async def intend(self, log: Log) -> None:
        """Makes the intent durable. Must return before any source is asked; raises `LogUnavailable`.

        A task that is cancelled here leaves only when it is known whether the intent stands.
        """
        if not self.intended:
            await self._append(log, (self._intent(),))

    async def close(self, log: Log, *, status: int, size: int, commitment: BodyCommitment | None) -> None:
        """Makes the closing entry durable: after this, and only after this, bytes may leave.

        A request that was refused before any source could be asked gets its intent in the same transaction. Raises
        `EntryInvalid` or `EntryTooLarge` when the facts are no entry: `close_bare` records what can be recorded.
        """
        entry = Entry(
            kind=self.closing,
            **self._facts(),
            status=status,
            rows=self.rows,
            rejected=self.rejected,
            bytes=size,
            complete=self.complete,
            fields=self.fields,
            sources=tuple(self._leg(source) for source in self.sources),
            body_c=commitment.hexdigest() if commitment is not None else None,
        )
        opening = () if self.intended else (self._intent(),)
        detail = {**self._untold(opening), **self.fault}
        if self.question and status < _LEAST_ERROR and "asked" not in self.detail:
            detail["query"] = dict(self.question)
        if commitment is not None:
            detail["body_salt"] = commitment.salt.hex()
        detail["elapsed_ms"] = round((time.perf_counter() - self.started) * 1000)
        closing = Record(entry=entry, detail=detail, subjects=tuple(self.subjects) + self._case())
        await self._append(log, (*opening, closing))

    async def close_bare(
        self, log: Log, *, status: int, size: int, commitment: BodyCommitment | None, fault: SimpulError
    ) -> None:
        """Closes an exchange whose facts the log refused: who, when and that it failed; the facts stand in the detail."""
        known: dict[str, Any] = {
            name: value for name, value in self._facts().items() if name in {"xid", "gw", "client", "op", "mode"}
        }
        told = {name: str(value)[:_TOLD_CHARACTERS] for name, value in self._facts().items() if name not in known}
        opening = () if self.intended else (Record(Entry(kind="intent", **known), self._detail()),)
        detail = {**self._untold(opening), **self.fault, "refused_entry": {"fault": fault.detail, **told}}
        if commitment is not None:
            detail["body_salt"] = commitment.salt.hex()
        entry = Entry(
            kind=self.closing,
            **known,
            status=status,
            bytes=size,
            body_c=commitment.hexdigest() if commitment is not None else None,
        )
        # The tags of the people stay searchable; only where they themselves are the fault is it recorded without them.
        for subjects in ((*self.subjects, *self._case()), ()):
            closing = Record(entry=entry, detail=detail, subjects=subjects)
            try:
                await self._append(log, (*opening, closing))
                return
            except EntryInvalid:
                if not subjects:
                    raise

    async def abort(self, log: Log) -> None:
        """Closes an exchange of which nothing was released, because its outcome could not be written when it ended."""
        entry = Entry(kind="aborted", **self._facts())
        await self._append(
            log, (Record(entry, {"reason": "the log could not be written when it ended", **self.fault}),)
        )

    async def delivery(self, log: Log, *, sent: int, size: int) -> None:
        """Records that the consumer left before the whole answer was sent."""
        entry = Entry(kind="delivery", **self._facts(), bytes=sent)
        await self._append(log, (Record(entry=entry, detail={"answer_bytes": size}, subjects=()),))

    async def _append(self, log: Log, records: Sequence[Record]) -> None:
        """Waits for the log also when this task is cancelled meanwhile: else nobody knew whether the entries stand."""
        writing = log.submit(records)
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            while not writing.done():
                with contextlib.suppress(asyncio.CancelledError):  # asked again to leave: it stays until it knows
                    await asyncio.wait({writing})
            if not writing.cancelled() and writing.exception() is None:
                self._stand(records)
            raise
        self._stand(records)

    def _stand(self, records: Sequence[Record]) -> None:
        kinds = {record.entry.kind for record in records}
        for one in records:
            if one.entry.kind == "intent":
                self.told = one.detail or {}
        self.intended = self.intended or "intent" in kinds
        self.closed = self.closed or self.closing in kinds

    def _intent(self) -> Record:
        asked = tuple(subject for subject in self.subjects if subject.role == "asked")
        return Record(entry=Entry(kind="intent", **self._facts()), detail=self._detail(), subjects=asked + self._case())

    def _facts(self) -> dict[str, Any]:
        principal = self.principal
        return {
            "xid": self.id,
            "gw": self.names.gateway,
            "client": Caller(self.names.member(principal.agency), principal.client_id, principal.credential),
            "op": self.op,
            "schemas": self.schemas,
            "providers": tuple(self.names.member(agency) for agency in self.providers),
            "datasets": self.datasets,
            "agreement": self.agreement,
            "purpose": self.purpose,
            "basis": self.basis,
            "dec": None if self.allowed is None else Verdict("allow" if self.allowed else "deny", self.rule or "none"),
            "q": self.structure,
            "mode": self.mode,
        }

    def _detail(self) -> dict[str, Any]:
        detail: dict[str, Any] = {"address": self.address, "request": self.request}
        if self.assertions.officer:
            detail["officer"] = self.assertions.officer
        if self.assertions.case:
            detail["case"] = self.assertions.case
        if self.assertions.represented:
            detail["represented"] = self.assertions.represented
        if self.assertions.road_client:
            detail["road_client"] = self.assertions.road_client
        detail.update(self.detail)
        return detail

    def _untold(self, opening: Sequence[Record]) -> dict[str, Any]:
        """The detail without what stands in the intent, here or before."""
        told = self.told if not opening else opening[0].detail or {}
        missing = object()
        return {name: value for name, value in self._detail().items() if told.get(name, missing) != value}

    def _case(self) -> tuple[Subject, ...]:
        """The case reference as a tag, so that its exchanges are found; one without letter or digit names nothing."""
        case = self.assertions.case
        return (Subject(CASE_TYPE, case, "case"),) if case and any(map(str.isalnum, case)) else ()

    def _leg(self, source: SourceStatus) -> SourceLeg:
        return SourceLeg(self.names.member(source.agency), source.status, source.rows)
