"""A dataset opened on its own, without a gateway around it: source, mapping, schema, a read."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from app.connectors.contract import Connector
from app.connectors.environment import Environment, Limits, NetworkPolicy
from app.connectors.registry import open_connector
from app.datasets.dataset import MappedDataset
from app.datasets.manifest import parse_manifest
from app.datasets.mapping import compile_mapping
from app.datasets.mapping.codes import CROSSWALK_SCHEMA, REGION_SCHEMA, CodeBook, InMemoryCodeBook
from app.datasets.records import ReadRequest, ReadResult
from app.schemas import registry
from app.schemas.warnings import Box
from tests.support.mariadb import PASSWORD


class KnownSecrets:
    """`${secret:PW}` is the password of the test servers; nothing else is known."""

    def resolve(self, text: str) -> str:
        return text.replace("${secret:PW}", PASSWORD)


def environment(folder: Path, *, deadline_seconds: float = 10.0) -> Environment:
    allowed = NetworkPolicy(networks=(IPv4Network("127.0.0.1/32"),))
    return Environment(
        "uji", "uji", folder, folder, KnownSecrets(), network=allowed, limits=Limits(deadline_seconds=deadline_seconds)
    )


def dataset(
    folder: Path,
    schema: str,
    source: dict[str, Any],
    fields: dict[str, Any],
    *,
    read: dict[str, Any] | None = None,
    codes: CodeBook | None = None,
    bbox: Box | None = None,
    **more: Any,
) -> MappedDataset:
    ref = schema if "@" in schema else f"{schema}@1"
    document = {"connector": "uji-sumber", "agency": "uji", "schema": ref, "source": source, "fields": fields}
    manifest = parse_manifest({**document, "read": read or {}})
    schema = ref.partition("@")[0]
    found = registry.get(schema)
    around = environment(folder, **more)
    codes = codes or InMemoryCodeBook("1", REGION_SCHEMA.empty_table(), CROSSWALK_SCHEMA.empty_table())
    connector: Connector = open_connector(manifest.source, around)
    return MappedDataset(
        manifest=manifest,
        revision=1,
        schema=found,
        connector=connector,
        mapping=compile_mapping(manifest, found, codes, bbox=bbox),
        limits=around.limits,
    )


async def read(source: MappedDataset) -> ReadResult:
    try:
        return await source.read(ReadRequest(limit=1000))
    finally:
        await source.close()


def file(folder: Path, name: str, content: str | bytes) -> dict[str, Any]:
    (folder / "inbox").mkdir(exist_ok=True)
    (folder / "inbox" / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return {"kind": "file", "location": f"inbox/{name}"}
