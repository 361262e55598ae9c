"""Commands that go over HTTP to a running gateway: `agency`, `client`, `connector`, `agreement`, `secret`, `exchange`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.key_files import public_keys
from app.cli.output import note, say, show
from app.cli.remote import connect

Url = Annotated[str | None, typer.Option("--url", help="Address of the gateway (SIMPUL_URL)")]
Profile = Annotated[Path | None, typer.Option("--profile", help="Profile file of mode 0600")]
Schema = Annotated[str | None, typer.Option("--schema", help="Propose for this schema")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output")]


def _list(path: str, columns: tuple[str, ...], url: str | None, profile: Path | None, *, as_json: bool) -> None:
    document = connect(url, profile).call("GET", path).json()
    if as_json:
        show(document)
        return
    for item in document["items"]:
        say("  ".join(str(item.get(column, "")) for column in columns))


def list_agencies(url: Url = None, profile: Profile = None, as_json: Json = False) -> None:
    """List the agencies."""
    _list("/v1/agencies", ("id", "name"), url, profile, as_json=as_json)


def list_clients(url: Url = None, profile: Profile = None, as_json: Json = False) -> None:
    """List the clients."""
    _list("/v1/clients", ("client_id", "agency", "role", "disabled"), url, profile, as_json=as_json)


def put_client_keys(
    client: str,
    files: Annotated[
        list[Path], typer.Argument(help="Public keys: PEM, JWK or JWKS; all that the client has from now on")
    ],
    url: Url = None,
    profile: Profile = None,
) -> None:
    """Give a client the public keys by which it proves itself from now on; its secret ends (walidata)."""
    keys = [key for file in files for key in public_keys(file)]
    remote, path = connect(url, profile), f"/v1/clients/{client}"
    seen = remote.call("GET", path).headers["etag"]
    found = remote.call("PUT", f"{path}/keys", json={"keys": keys}, headers={"if-match": seen}).json()
    for key in found["keys"]:
        say(f"{key['kid']}  {key['kty']}  {' '.join(key['algorithms'])}")


def list_connectors(url: Url = None, profile: Profile = None, as_json: Json = False) -> None:
    """List the connectors with their states."""
    _list("/v1/connectors", ("connector", "agency", "state", "active_revision"), url, profile, as_json=as_json)


def list_agreements(url: Url = None, profile: Profile = None, as_json: Json = False) -> None:
    """List the agreements with their states."""
    _list(
        "/v1/agreements",
        ("id", "state", "provider", "consumer", "schema", "valid_until"),
        url,
        profile,
        as_json=as_json,
    )


def list_exchanges(
    url: Url = None,
    profile: Profile = None,
    limit: Annotated[int, typer.Option(help="How many entries")] = 20,
    as_json: Json = False,
) -> None:
    """Show the newest entries of the exchange log that the credential may see."""
    path = f"/v1/exchanges?limit={limit}"
    _list(path, ("index", "t", "kind", "op", "status", "exchange_id"), url, profile, as_json=as_json)


def check_connector(name: str, url: Url = None, profile: Profile = None, as_json: Json = False) -> None:
    """Check a connector's source; exit code 1 when a stage fails."""
    report = connect(url, profile).call("POST", f"/v1/connectors/{name}/check").json()
    if as_json:
        show(report)
    else:
        for step in report["steps"]:
            detail = f"  {step['note']}" if step["ok"] else f"  {step['field']}: {step['problem']['detail']}"
            say(f"{'ok  ' if step['ok'] else 'FAIL'} {step['name']:<11} {step['elapsed_ms']:>8} ms{detail.rstrip()}")
        for reject in (report["mapping"] or {}).get("rejects", ()):
            say(
                f"     {reject['records']:>8} {reject['field'] or 'row'}: {reject['rule']} ({'; '.join(reject['places'])})"
            )
    if not report["passed"]:
        raise typer.Exit(1)


def discover_connector(name: str, url: Url = None, profile: Profile = None) -> None:
    """Show what stands at a connector's source, how it has to be read, and a manifest ready to send."""
    show(connect(url, profile).call("POST", f"/v1/connectors/{name}/discover").json())


def suggest_connector(name: str, schema: Schema = None, url: Url = None, profile: Profile = None) -> None:
    """Propose the manifest of a connector, as YAML with a comment for each guess."""
    params = {"schema": schema} if schema else None
    sys.stdout.write(
        str(connect(url, profile).call("POST", f"/v1/connectors/{name}/suggest", params=params).json()["manifest"])
    )


def preview_connector(name: str, url: Url = None, profile: Profile = None) -> None:
    """Show raw rows beside what the mapping makes of them."""
    show(connect(url, profile).call("POST", f"/v1/connectors/{name}/preview").json())


def quarantine_connector(name: str, url: Url = None, profile: Profile = None) -> None:
    """Show the records that were rejected, with place and reason."""
    show(connect(url, profile).call("GET", f"/v1/connectors/{name}/quarantine").json())


def publish_connector(name: str, url: Url = None, profile: Profile = None) -> None:
    """Publish the latest revision of a connector."""
    found = connect(url, profile).call("POST", f"/v1/connectors/{name}/publish").json()
    say(str(found["state"]))
    if found["joined"] is None:
        note(f"it answers once the walidata has let it: simpul connector join {name}")


def join_connector(name: str, url: Url = None, profile: Profile = None) -> None:
    """Let a published dataset join its schema (walidata): it is part of everybody's answers from then on."""
    say(f"joined {connect(url, profile).call('POST', f'/v1/connectors/{name}/join').json()['joined']}")


def suspend_connector(name: str, url: Url = None, profile: Profile = None) -> None:
    """Stop a connector from answering."""
    say(str(connect(url, profile).call("POST", f"/v1/connectors/{name}/suspend").json()["state"]))


def put_secret(name: str, url: Url = None, profile: Profile = None) -> None:
    """Store a secret of a source; its value is read from standard input, never from the command line."""
    value = sys.stdin.readline().rstrip("\n")
    connect(url, profile).call("PUT", f"/v1/secrets/{name}", json={"value": value})
    say(f"stored {name}")
