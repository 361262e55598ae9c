"""`simpul codes list`, `lookup`, `crosswalk`: the loaded code lists of a running gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from app.cli.output import FINDING, note, say, show
from app.cli.remote import connect

System = Annotated[str, typer.Argument(help="Code system: kemendagri, bps, …")]
Url = Annotated[str | None, typer.Option("--url", help="Address of the gateway (SIMPUL_URL)")]
Profile = Annotated[Path | None, typer.Option("--profile", help="Profile file of mode 0600")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output")]
Level = Annotated[str | None, typer.Option("--level", help="provinsi, kabupaten, kecamatan or desa")]
Parent = Annotated[str | None, typer.Option("--parent", help="Only regions within this code of Kemendagri")]
_PAGE = 1000
AsOf = Annotated[str | None, typer.Option("--as-of", help="Only codes that are valid on this day: 2019-05-01")]


def list_codes(
    system: System,
    level: Level = None,
    parent: Parent = None,
    q: Annotated[str | None, typer.Option("--q", help="Part of the name")] = None,
    as_of: AsOf = None,
    url: Url = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """List the codes of a system with the regions that they mean, page after page."""
    asked = {"level": level, "parent": parent, "q": q, "as_of": as_of, "limit": _PAGE}
    given = {name: value for name, value in asked.items() if value is not None}
    remote = connect(url, profile)
    items: list[Any] = []
    while True:
        found = remote.call("GET", f"/v1/codes/{quote(system, safe='')}", params=given).json()
        items += found["items"] if as_json else []
        for item in found["items"] if not as_json else ():
            say(_line(item))
        if found["next_after"] is None:
            break
        given["after"] = found["next_after"]
    if as_json:
        show({"system": system, "total": found["total"], "items": items})
    else:
        note(f"{found['total']} codes")


def lookup_code(
    system: System,
    name: Annotated[str, typer.Argument(help="Name of a region, as somebody wrote it")],
    level: Level = None,
    parent: Parent = None,
    as_of: AsOf = None,
    url: Url = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Tell which code a name means; exit code 1 where it is none or several (those are named)."""
    asked = {"name": name, "level": level, "parent": parent, "as_of": as_of}
    found = _asked(f"/v1/codes/{quote(system, safe='')}/lookup", asked, url, profile)
    if as_json:
        show(found)
    else:
        say(f"{found['status']}  {found['code'] or '-'}")
        for one in found["candidates"]:
            differs = f"  ({', '.join(one['differs_by'])})" if one["differs_by"] else ""
            say(f"  {one['match_type']:<8} {_line(one)}{differs}")
    if found["code"] is None:
        raise typer.Exit(FINDING)


def crosswalk_code(
    system: System,
    code: Annotated[str, typer.Argument(help="A code of this system")],
    to: Annotated[str, typer.Option("--to", help="The other system")] = "kemendagri",
    as_of: AsOf = None,
    url: Url = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Tell the codes of another system that mean the same region; exit code 1 where there are none."""
    path = f"/v1/codes/{quote(system, safe='')}/{quote(code, safe='')}/crosswalk"
    found = _asked(path, {"to": to, "as_of": as_of}, url, profile)
    if as_json:
        show(found)
    else:
        for item in found["items"]:
            say(f"{_line(item)}  {item['metode'] or ''}".rstrip())
        if not found["items"]:
            note(f"{code} has no code in {to}")
    if not found["items"]:
        raise typer.Exit(FINDING)


def _asked(path: str, asked: dict[str, Any], url: str | None, profile: Path | None) -> Any:
    given = {name: value for name, value in asked.items() if value is not None}
    return connect(url, profile).call("GET", path, params=given).json()


def _line(item: dict[str, Any]) -> str:
    """Code, level, name, region where it is another code, and validity where it is known."""
    region = item["kode_wilayah"]
    parts = [f"{item['code']:<15}", f"{item['tingkat']:<10}", item["nama"] or "-"]
    parts += [] if region == item["code"] else [f"-> {region or 'unmatched'}"]
    if item["valid_from"] or item["valid_to"]:
        parts.append(f"[{item['valid_from'] or '…'} to {item['valid_to'] or '…'}]")
    if item["successors"]:
        parts.append(f"replaced by {', '.join(item['successors'])}")
    return "  ".join(parts)
