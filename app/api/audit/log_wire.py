"""Models of what the log answers: entries with their members, as `app/audit/entry` writes them. They document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from app.api.layer.answers import Answer, Digest, Free, Id, Moment, Name, Whole
from app.audit.entry.members import Kind

Member = Annotated[str, Field(max_length=200, description="INSTANCE/CLASS/agency")]
Uuid = Annotated[str, Field(max_length=36, pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Base64 = Annotated[str, Field(max_length=5464, json_schema_extra={"contentEncoding": "base64"})]
Scope = Annotated[str, Field(max_length=200, description="`all`, or the agency whose entries are seen")]
Zone = Annotated[str, Field(max_length=64)]


class LogGateway(Answer):
    """Which process wrote the entry."""

    replica: Annotated[str, Field(max_length=120)]
    build: Annotated[str, Field(max_length=120)]


class LogCaller(Answer):
    """Who asked: agency, client, and the thumbprint of the credential."""

    agency: Member
    client: Annotated[str, Field(max_length=200)]
    cred: Annotated[str, Field(max_length=128)] | SkipJsonSchema[None] = None


class LogDataset(Answer):
    """A dataset that was asked, with the revision of its manifest."""

    dataset: Annotated[str, Field(max_length=200)]
    revision: Whole


class LogVerdict(Answer):
    """The decision, and the rule that made it."""

    effect: Literal["allow", "deny"]
    rule: Annotated[str, Field(max_length=120)]


class LogLeg(Answer):
    """What one source did."""

    agency: Member
    status: Id
    rows: Whole | SkipJsonSchema[None] = None


class MovedMember(Answer):
    """A member that was too long for the entry: how many elements it has, and its digest. The rest went with the detail."""

    count: Whole
    digest: Digest


MemberList = Annotated[list[Member], Field(max_length=100_000)] | MovedMember
FieldList = Annotated[list[Name], Field(max_length=100_000)] | MovedMember
LegList = Annotated[list[LogLeg], Field(max_length=100_000)] | MovedMember


class LogEntry(Answer):
    """An entry of the log. Members that do not apply are absent."""

    index: Whole
    leaf_hash: Digest
    v: Literal["simpul-log/1"]
    id: Uuid
    xid: Uuid
    exchange_id: Uuid = Field(description="The same as `xid`")
    kind: Kind
    t: Moment
    gw: LogGateway
    client: LogCaller | SkipJsonSchema[None] = None
    rep: Annotated[str, Field(max_length=200)] | SkipJsonSchema[None] = None
    op: Annotated[str, Field(max_length=80)]
    schemas: Annotated[list[Name], Field(max_length=1000)] | SkipJsonSchema[None] = None
    providers: MemberList | SkipJsonSchema[None] = None
    datasets: Annotated[list[LogDataset], Field(max_length=100_000)] | MovedMember | SkipJsonSchema[None] = None
    agreement: Annotated[str, Field(max_length=200)] | SkipJsonSchema[None] = None
    purpose: Annotated[str, Field(max_length=200)] | SkipJsonSchema[None] = None
    basis: Annotated[str, Field(max_length=500)] | SkipJsonSchema[None] = None
    dec: LogVerdict | SkipJsonSchema[None] = None
    q: Annotated[str, Field(max_length=1_000_000)] | MovedMember | SkipJsonSchema[None] = Field(
        default=None, description="Shape of the question, every literal as `?`"
    )
    status: Annotated[int, Field(ge=100, le=599)] | SkipJsonSchema[None] = None
    rows: Whole | SkipJsonSchema[None] = None
    rejected: Whole | SkipJsonSchema[None] = None
    bytes: Whole | SkipJsonSchema[None] = None
    complete: bool | SkipJsonSchema[None] = None
    fields: FieldList | SkipJsonSchema[None] = None
    sources: LegList | SkipJsonSchema[None] = None
    body_c: Digest | SkipJsonSchema[None] = Field(default=None, description="Salted commitment to the answer's bytes")
    subj_n: Whole | SkipJsonSchema[None] = Field(default=None, description="How many subject tags the entry has")
    detail_c: Digest | SkipJsonSchema[None] = Field(default=None, description="Salted commitment to the detail")
    mode: Literal["uji"] | SkipJsonSchema[None] = None


class WholeEntry(LogEntry):
    """An entry with its erasable detail and its exact bytes."""

    detail: Free | None = Field(description="Null where there is none, it was erased, or it is another agency's")
    entry: Base64 = Field(description="The bytes that `leaf_hash` is made of")


class LogMeta(Answer):
    """Which tree was read, whose entries are seen, and the zone of bare days."""

    tree_size: Whole
    scope: Scope
    zone: Zone


class ExchangesAnswer(Answer):
    """A page of entries, newest first."""

    items: list[LogEntry] = Field(max_length=1000)
    next_cursor: Annotated[str, Field(max_length=2048)] | None
    meta: LogMeta


class InclusionAnswer(Answer):
    """Proof that an entry stands in the tree of the checkpoint (RFC 6962); the hashes go from leaf to root."""

    index: Whole
    leaf_hash: Digest
    tree_size: Whole
    hashes: list[Digest] = Field(max_length=64)


class ExchangeProof(Answer):
    """The signed checkpoint, and a proof of each entry under it."""

    checkpoint: Annotated[str, Field(max_length=100_000)]
    inclusion: list[InclusionAnswer] = Field(max_length=100_000)


class ExchangeAnswer(Answer):
    """One exchange, end to end."""

    exchange_id: Uuid
    entries: list[WholeEntry] = Field(max_length=100_000)
    sources: LegList = Field(description="The legs of its sources")
    proof: ExchangeProof


_XID = "019aa1b2-0000-7000-8000-000000000001"
CHECKPOINT = (
    "simpul.jepara.example/log\n2\nrKVZLq8c8mBzbPHT7cH3dV2G3vYHpZ8dKx7rO3u1e1Q=\n\n"
    "\u2014 simpul.jepara.example/log dGhlIHNpZ25hdHVyZQ==\n"
)
ENTRY: dict[str, Any] = {
    "index": 1,
    "leaf_hash": "8d2c1a5e0f4b7c9360a1e2d3f4b5c6d708192a3b4c5d6e7f8091a2b3c4d5e6f7",
    "v": "simpul-log/1",
    "id": "019aa1b2-0004-7000-8000-000000000002",
    "xid": _XID,
    "exchange_id": _XID,
    "kind": "outcome",
    "t": "2026-11-20T04:00:00.412345Z",
    "gw": {"replica": "simpul-1", "build": "1.0.0"},
    "client": {"agency": "ID-JEPARA/GOV/rsud-kartini", "client": "rsud-simrs", "cred": "q1Y3nR0oT7mC2vXk"},
    "op": "verify",
    "schemas": ["penduduk_verifikasi"],
    "providers": ["ID-JEPARA/GOV/disdukcapil"],
    "datasets": [{"dataset": "dukcapil-penduduk", "revision": 2}],
    "agreement": "pks-dukcapil-rsud",
    "purpose": "pelayanan_kesehatan",
    "basis": "UU 17/2023 Ps. 173; PKS 400/12/2026",
    "dec": {"effect": "allow", "rule": "agreement"},
    "status": 200,
    "rows": 1,
    "complete": True,
    "fields": ["nama", "nik"],
    "sources": [{"agency": "ID-JEPARA/GOV/disdukcapil", "status": "ok", "rows": 1}],
    "subj_n": 3,
    "detail_c": "1f0e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
}
LOG_META = {"tree_size": 184211, "scope": "all", "zone": "Asia/Jakarta"}
EXCHANGE = {
    "exchange_id": _XID,
    "entries": [{**ENTRY, "detail": None, "entry": "eyJ2Ijoic2ltcHVsLWxvZy8xIn0="}],
    "sources": ENTRY["sources"],
    "proof": {
        "checkpoint": CHECKPOINT,
        "inclusion": [
            {
                "index": 1,
                "leaf_hash": ENTRY["leaf_hash"],
                "tree_size": 2,
                "hashes": ["5b0c7a9e3d1f2b4a6c8e0f1d2c3b4a5968778695a4b3c2d1e0f1e2d3c4b5a697"],
            }
        ],
    },
}
