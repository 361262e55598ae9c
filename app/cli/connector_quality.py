"""`simpul connector quality`: what checks measured of a connector, and its history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from app.cli.output import FINDING, note, say, show
from app.cli.remote import connect

_DAY = 86_400


def show_quality(
    name: Annotated[str, typer.Argument(help="Id of the connector")],
    history: Annotated[bool, typer.Option("--history", help="The checks that are kept, the newest first")] = False,
    url: Annotated[str | None, typer.Option("--url", help="Address of the gateway (SIMPUL_URL)")] = None,
    profile: Annotated[Path | None, typer.Option("--profile", help="Profile file of mode 0600")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output")] = False,
) -> None:
    """Show what the last check measured; exit code 1 where it did not pass or the promise of freshness is not kept."""
    params = {"limit": 430} if history else None
    found = connect(url, profile).call("GET", f"/v1/connectors/{quote(name, safe='')}/quality", params=params).json()
    if as_json:
        show(found)
    elif found["at"] is None:
        note(f"no check has measured {name} yet; run: simpul connector check {name}")
    elif history:
        for point in found["history"]:
            say(_point(point))
    else:
        _say_last(found)
    kept = (found["freshness"] or {}).get("kept")
    if found["passed"] is False or kept is False:
        raise typer.Exit(FINDING)


def _point(point: dict[str, Any]) -> str:
    counts = "not mapped"
    if point["mapped"] is not None:
        counts = f"{point['mapped']:>8} mapped  {point['rejected']:>6} rejected  {_share(point['completeness'])} filled"
    state = "ok  " if point["passed"] else "FAIL"
    return f"{state} {point['at']}  revision {point['revision']}  {point['columns']:>3} columns  {counts}"


def _say_last(found: dict[str, Any]) -> None:
    say(f"{'ok  ' if found['passed'] else 'FAIL'} {found['at']}  revision {found['revision']}")
    measured = found["measured"]
    if measured is not None:
        bounded = f"  (ended early: {measured['bounded']})" if measured["bounded"] else ""
        say(
            f"records       {measured['mapped']} mapped, {measured['rejected']} rejected of {measured['rows']}{bounded}"
        )
        for field, share in measured["completeness"].items():
            say(f"filled        {_share(share)}  {field}")
        if measured["unmapped"]:
            say(f"not mapped    {', '.join(measured['unmapped'])}")
        for reject in measured["rejects"]:
            say(f"rejects       {reject['records']:>8}  {reject['field'] or 'row'}: {reject['rule']}")
        for level in (measured["regions"] or {}).get("levels", ()):
            say(f"regions       {level['found']} of {level['expected']} {level['level']} have a record")
        if measured["positions"] is not None:
            say(
                f"positions     {measured['positions']['inside']} of {measured['positions']['records']} inside the region"
            )
        for one in measured["personal"]:
            say(f"personal      {one['records']:>8}  {one['field']}: looks like {one['pattern']}")
    drift, freshness = found["drift"], found["freshness"]
    if drift is not None:
        for word in ("added", "removed"):
            say(f"columns       {word}: {', '.join(drift[word]) or '-'}")
        for column in drift["changed"]:
            say(f"columns       {column['name']}: {column['before']} is now {column['now']}")
    if freshness is not None:
        word = {True: "kept", False: "NOT KEPT", None: "not known"}[freshness["kept"]]
        say(f"freshness     {word}: {freshness['newest'] or '-'}, promised {freshness['slo_seconds'] / _DAY:g} days")


def _share(share: float | None) -> str:
    return "     -" if share is None else f"{share:6.1%}"
