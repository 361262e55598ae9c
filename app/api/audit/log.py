"""`/log/…`: the log as a C2SP tlog-tiles prefix (checkpoint and hash tiles for everyone, bundles for supervisors), and receipts.

Does not live here: which tiles exist (`audit/read/tile_service.py`), what a receipt holds (`audit/tlog/receipts.py`).
"""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from app.api.layer.dependencies import exchange, only_parameters, principal, services
from app.api.layer.resource import AUDITORS, EVERYONE, PUBLIC, SUPERVISORS, Resource, Rule
from app.audit.entry.members import CLOSERS
from app.audit.read.filters import Scope
from app.audit.read.search import ExchangeSearch
from app.audit.read.tile_service import covering_checkpoint, served_checkpoint, served_tile
from app.audit.store.contract import StoredEntry
from app.audit.tlog.receipts import SUFFIX, receipt_of
from app.audit.tlog.tiles import parse_tile
from app.errors import ExchangeUnknown, NotFound
from app.gateway.exchange import ReadOutcome

routes = Resource("", "log")
receipts = Resource("/v1/exchanges", "audit")

_TEXT = "text/plain; charset=utf-8"
_BYTES = "application/octet-stream"
_FOREVER = "public, max-age=31536000, immutable"
_NOTE = (
    "simpul.jepara.example/log\n2\nrKVZLq8c8mBzbPHT7cH3dV2G3vYHpZ8dKx7rO3u1e1Q=\n\n"
    "\u2014 simpul.jepara.example/log dGhlIHNpZ25hdHVyZQ==\n"
)
_HASH = "5kYbVqv1Hj0jVwVg1mG1yT3a0n0k7s1Q0o7h2Zk3b1c="
_RECEIPT = f"c2sp.org/tlog-proof@v1\nextra eyJlbnRyeSI6Ii4uLiJ9\nindex 1\n{_HASH}\n\n{_NOTE}"


def _text(text: str, example: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: {
            "description": text,
            "content": {"text/plain": {"schema": {"type": "string", "maxLength": 1_048_576}, "example": example}},
        }
    }


def _binary(text: str) -> dict[int | str, dict[str, Any]]:
    json_schema = {"type": "string", "contentMediaType": _BYTES, "maxLength": 16_777_216}
    return {200: {"description": text, "content": {_BYTES: {"schema": json_schema}}}}


def _path_parameter(text: str, example: str) -> dict[str, Any]:
    json_schema = {"type": "string", "maxLength": 64}
    found = {
        "name": "path",
        "in": "path",
        "required": True,
        "description": text,
        "schema": json_schema,
        "example": example,
    }
    return {"parameters": [found]}


@routes.get(
    "/log/checkpoint",
    PUBLIC,
    summary="The last signed checkpoint",
    response_class=Response,
    responses=_text("A signed note (C2SP tlog-checkpoint) with the cosignatures it has so far.", _NOTE),
)
async def get_checkpoint(request: Request) -> Response:
    """Origin, size and root of the log, signed with its Ed25519 key; at most a second older than the last commit."""
    only_parameters(request)
    note = await served_checkpoint(services(request).log.reader)
    return Response(note.encode(), media_type=_TEXT, headers={"cache-control": "public, max-age=1"})


@routes.get(
    "/log/tile/entries/{path:path}",
    Rule("log.entries", SUPERVISORS, "audit_read"),
    summary="A bundle of 256 entries",
    response_class=Response,
    responses=_binary("Each entry after its length as two bytes."),
    openapi_extra=_path_parameter("Number of the bundle: `<N>[.p/<W>]`", "000.p/2"),
)
async def get_entries(request: Request) -> Response:
    """The entries' exact bytes (C2SP tlog-tiles), of all agencies: for supervisors alone. Each read is itself an entry.

    Auditors have search, receipts and exports of what concerns their agency.
    """
    under_way, path = exchange(request), str(request.path_params["path"])
    under_way.decide(allow=True, rule="role")
    under_way.tells(read=f"entries/{path[:64]}")
    return await _tile(request, f"entries/{path}")


@routes.get(
    "/log/tile/{path:path}",
    PUBLIC,
    summary="A tile of 256 hashes",
    response_class=Response,
    responses=_binary("At most 256 hashes of 32 bytes."),
    openapi_extra=_path_parameter("Level and number: `<L>/<N>[.p/<W>]`", "0/000.p/2"),
)
async def get_tile(request: Request) -> Response:
    """Hashes of the Merkle tree (RFC 6962), in tiles of C2SP tlog-tiles. What no published checkpoint has is not there."""
    path = str(request.path_params["path"])
    if path.startswith("entries"):
        raise NotFound("bundles of entries stand under /log/tile/entries/ and need a token")
    return await _tile(request, path)


async def _tile(request: Request, path: str) -> Response:
    only_parameters(request)
    if b"%" in request.scope.get("raw_path", b""):
        raise NotFound("a tile's path is written plainly, without escapes")
    content = await served_tile(services(request).log.reader, parse_tile(path))
    return Response(content, media_type=_BYTES, headers={"cache-control": _FOREVER})


@receipts.get(
    "/{exchange_id}/receipt",
    Rule("exchange.receipt", EVERYONE, "audit_read"),
    summary="Receipt of an exchange",
    response_class=Response,
    responses=_text("A C2SP tlog-proof whose extra line carries the entry and the salt of the body.", _RECEIPT),
)
async def get_receipt(exchange_id: str, request: Request) -> Response:
    """The closing entry of an exchange with its proof, verifiable offline: `simpul log verify-receipt`.

    For the client that made the exchange, and for auditors and supervisors who see it: the receipt holds the salt of the body, by which
    a guess of the body could be tried.
    """
    only_parameters(request)
    state, under_way = services(request), exchange(request)
    caller = principal(request)
    member = state.names.member(caller.agency)
    scope = Scope(None if caller.role == "supervisor" else member)
    under_way.decide(allow=True, rule="supervisor" if scope.agency is None else "party")
    under_way.tells(read=exchange_id[:64])
    search = ExchangeSearch(state.log, state.log.reader)
    found = await search.exchange(exchange_id, scope)
    entry = _closing(found.entries)
    client = entry.members.get("client") or {}
    own = client.get("agency") == member and client.get("client") == caller.client_id
    if caller.role not in AUDITORS and not own:
        raise ExchangeUnknown("no exchange with this id is in the log, or it is not one of yours")
    checkpoint = await covering_checkpoint(state.log, state.log.reader, entry.idx + 1)
    proof = await search.inclusion(entry.idx, entry.leaf_hash, checkpoint)
    under_way.answered(ReadOutcome(1))
    receipt = receipt_of(entry.idx, proof.hashes, checkpoint.note, entry.entry_bytes, entry.detail)
    disposition = f'attachment; filename="{entry.members["xid"]}{SUFFIX}"'
    headers = {"cache-control": "no-store", "content-disposition": disposition}
    return Response(receipt.text().encode(), media_type=_TEXT, headers=headers)


def _closing(entries: list[StoredEntry]) -> StoredEntry:
    """The entry that closed the exchange; the intent where nothing has yet."""
    return next((entry for entry in reversed(entries) if entry.members["kind"] in CLOSERS), entries[-1])
