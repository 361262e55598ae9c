"""`simpul connector new`: from a file or an address to a draft at the gateway and a manifest to look through."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import typer

from app.cli.output import fail, note, say, show
from app.cli.remote import Remote, connect
from app.datasets.manifest_schema import manifest_schema

_CREATED_NEW = {"If-None-Match": "*"}
_TAKEN = (412, 428)
_FILES = frozenset({"s3", "sftp"})
"""Schemes of addresses at which files alone stand."""
_FILE_ENDINGS = frozenset(
    [
        ".csv",
        ".tsv",
        ".txt",
        ".gz",
        ".zip",
        ".xlsx",
        ".xlsm",
        ".xls",
        ".xlsb",
        ".ods",
        ".ndjson",
        ".jsonl",
        ".geojson",
        ".parquet",
        ".dbf",
        ".gpkg",
        ".kml",
        ".kmz",
        ".sav",
        ".zsav",
    ]
)
"""Endings of addresses that are read as a file; JSON, XML and HTML may as well be a service's."""
_COLLECTION = re.compile(r"/collections/(?P<collection>[^/]+)")
_WFS = frozenset(
    {"service", "version", "acceptversions", "request", "typename", "typenames", "outputformat", "count", "startindex"}
)
_CKAN = re.compile(r"/dataset(?:/(?P<package>[^/]+)(?:/resource/(?P<resource>[^/]+))?)?/?$")


def new_connector(
    source: Annotated[
        str, typer.Argument(help="A file, or the address of a service or a database", metavar="FILE_OR_URL")
    ],
    agency: Annotated[str, typer.Option("--agency", help="The agency that the source belongs to")],
    schema: Annotated[
        str | None, typer.Option("--schema", help="The shared schema; else the one that fits best")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Id of the connector; else made of agency and source")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the manifest is written; else to standard output")
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Option(
            "--source", help="A further key of the source, such as region=ap-southeast-3", metavar="KEY=VALUE"
        ),
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="Address of the gateway (SIMPUL_URL)")] = None,
    profile: Annotated[Path | None, typer.Option("--profile", help="Profile file of mode 0600")] = None,
) -> None:
    """Upload a file (or name a service), register a draft and write a manifest ready to send, with a comment for each guess."""
    remote = connect(url, profile)
    block = _uploaded(remote, Path(source), agency) if "://" not in source else source_at(source)
    block |= _stated(more or [])
    connector = name or _id(agency, source)
    draft = {
        "connector": connector,
        "agency": agency,
        "source": block,
        **({"schema": _ref(remote, schema)} if schema else {}),
    }
    made = remote.call("PUT", f"/v1/connectors/{connector}", json=draft, headers=_CREATED_NEW, ok=_TAKEN)
    if made.status_code in _TAKEN:
        fail(
            f"there is a connector {connector} already: give another --name, or use simpul connector suggest {connector}"
        )
    params = {"schema": schema} if schema else None
    found = remote.call("POST", f"/v1/connectors/{connector}/discover", params=params).json()
    for text in found["notes"]:
        note(f"note: {text}")
    if not schema and found["schemas"]:
        note("schema: " + ", ".join(f"{one['schema']} ({one['score']:.2f})" for one in found["schemas"]))
    if out is None:
        say(found["manifest"])
        return
    if out.exists():
        fail(f"{out} is there already; it is not overwritten")
    out.write_text(found["manifest"], "utf-8")
    note(f"written to {out}; look it through, then: simpul apply -f {out}")


def write_schema() -> None:
    """Write the JSON Schema of a manifest to standard output, for editors that complete and check YAML."""
    show(manifest_schema())


def _uploaded(remote: Remote, file: Path, agency: str) -> dict[str, Any]:
    """The file in the agency's inbox, as a source."""
    if not file.is_file():
        fail(f"{file} is no file; an address has a scheme, such as https:// or postgresql://")
    remote.call("PUT", f"/v1/agencies/{agency}/files/{file.name}", content=file.read_bytes())
    return {"kind": "file", "location": f"inbox/{file.name}"}


def source_at(text: str) -> dict[str, Any]:
    """The source that an address means: a portal, features or a file by its path, a database by its scheme, else a service."""
    parts = urlsplit(text)
    if parts.scheme in _FILES:
        return {"kind": "file", "location": text}
    if parts.scheme not in {"http", "https"}:
        return {"kind": "sql", "url": text}
    page = _CKAN.search(parts.path)
    if page is not None:
        named = next(((name, page[name]) for name in ("resource", "package") if page[name]), ("mode", "packages"))
        base = f"{parts.scheme}://{parts.netloc}{parts.path[: page.start()]}"
        return {"kind": "ckan", "url": base, named[0]: unquote(named[1])}
    features = _COLLECTION.search(parts.path)
    if features is not None:
        return {
            "kind": "ogc",
            "url": f"{parts.scheme}://{parts.netloc}{parts.path[: features.start()]}",
            "collection": unquote(features["collection"]),
        }
    asked = parse_qsl(parts.query, keep_blank_values=True)
    if any(name.lower() == "service" and value.upper() == "WFS" for name, value in asked):
        own = urlencode([(name, value) for name, value in asked if name.lower() not in _WFS])
        return {"kind": "ogc", "url": urlunsplit((parts.scheme, parts.netloc, parts.path, own, "")), "service": "wfs"}
    if PurePosixPath(parts.path).suffix.lower() in _FILE_ENDINGS:
        return {"kind": "file", "location": text}
    return {"kind": "rest", "url": text}


def _stated(more: list[str]) -> dict[str, str]:
    """The keys of the source that are stated beside its address."""
    pairs = [text.partition("=") for text in more]
    wrong = next((text for text, (key, sign, _) in zip(more, pairs, strict=True) if not (key and sign)), None)
    if wrong is not None:
        fail(f"--source is written KEY=VALUE, not {wrong}")
    return {key: value for key, _, value in pairs}


def _ref(remote: Remote, schema: str) -> str:
    """The schema with its version."""
    found = remote.call("GET", f"/v1/schemas/{schema.partition('@')[0]}").json()
    return schema if "@" in schema else f"{found['name']}@{found['version']}"


def _id(agency: str, source: str) -> str:
    stem = Path(urlsplit(source).path).stem if "://" in source else Path(source).stem
    slug = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "sumber"
    slug = slug.removeprefix(f"{agency}-")
    return f"{agency}-{slug}"[:63].rstrip("-")
