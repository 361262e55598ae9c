"""`simpul apply -f DIR`: agencies, clients, connectors and agreements from documents, over HTTP, idempotent, difference first."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from app.cli.output import fail, say
from app.cli.remote import Remote, connect, refusal
from app.datasets.yaml_text import load_all_yaml

_ORDER = ("agency", "client", "connector", "agreement")
_FOUND, _MISSING, _REFUSED = 200, 404, 400
_FORBIDDEN = 403
_SIGNED_NEXT = {"proposed": "a steward of {provider}", "approved": "an admin of the walidata"}
_AGENCY_MEMBERS = ("name", "name_en", "contact", "network_allow", "env_allow")


@dataclass(slots=True)
class Outcome:
    """What was done: lines for people, secrets of clients that were made, connectors whose check failed."""

    lines: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    changed: int = 0


def apply(
    folder: Annotated[Path, typer.Option("-f", "--file", help="Folder (or one file) of YAML documents")],
    url: Annotated[str | None, typer.Option(help="Address of the gateway")] = None,
    profile: Annotated[
        Path | None, typer.Option(help="Profile file (mode 0600) with url, client_id, client_secret")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference, change nothing")] = False,
) -> None:
    """Make or change what the documents name (clients and agreements that exist are left as they are); may be repeated.

    --dry-run shows the difference.
    """
    documents = list(read_documents(folder))
    if not documents:
        fail(f"{folder} holds no documents")
    outcome = apply_documents(connect(url, profile), documents, dry_run=dry_run, tell=say)
    say(f"{len(documents)} documents, {outcome.changed} changed, {len(outcome.failed)} with a finding")
    for client, secret in outcome.secrets.items():
        say(f"client {client} secret {secret}   (shown once)")
    if outcome.failed:
        raise typer.Exit(1)


def read_documents(folder: Path) -> Iterator[dict[str, Any]]:
    """The documents of a folder in the order in which they depend on each other; each remembers its file."""
    files = sorted(folder.glob("**/*.y*ml")) if folder.is_dir() else [folder]
    found: list[dict[str, Any]] = []
    for file in files:
        try:
            for document in load_all_yaml(file.read_text("utf-8")):
                if document is not None:
                    found.append({**_kind_of(document), **document, "_file": file})
        except (OSError, yaml.YAMLError, TypeError) as error:
            fail(f"{file}: {error}")
    for document in found:
        if document.get("kind") not in _ORDER:
            fail(f"{document['_file']}: kind is one of {', '.join(_ORDER)}")
    yield from sorted(found, key=lambda document: _ORDER.index(document["kind"]))


def _kind_of(document: dict[str, Any]) -> dict[str, str]:
    """A manifest says what it is by its members, as it does for PUT /v1/connectors."""
    return {"kind": "connector"} if "connector" in document and "source" in document else {}


def apply_documents(
    remote: Remote, documents: list[dict[str, Any]], *, dry_run: bool = False, tell: Callable[[str], None] = say
) -> Outcome:
    """Applies the documents one by one."""
    outcome = Outcome()
    acts = {"agency": _agency, "client": _client, "connector": _connector, "agreement": _agreement}
    for document in documents:
        body = {name: value for name, value in document.items() if name not in {"kind", "_file"}}
        line = acts[document["kind"]](remote, body, outcome, dry_run=dry_run)
        outcome.lines.append(line)
        tell(line)
    return outcome


def _agency(remote: Remote, body: dict[str, Any], outcome: Outcome, *, dry_run: bool) -> str:
    found = remote.call("GET", f"/v1/agencies/{body['id']}", ok=(_MISSING,))
    if found.status_code == _MISSING:
        if not dry_run:
            remote.call("POST", "/v1/agencies", json=body)
        outcome.changed += 1
        return f"+ agency {body['id']}"
    held = found.json()
    changes = {
        name: body[name] for name in _AGENCY_MEMBERS if name in body and _plain(held.get(name)) != _plain(body[name])
    }
    if not changes:
        return f"  agency {body['id']} as before"
    if not dry_run:
        remote.call("PATCH", f"/v1/agencies/{body['id']}", json=changes, headers={"If-Match": found.headers["etag"]})
    outcome.changed += 1
    return f"~ agency {body['id']}: {', '.join(changes)}"


def _client(remote: Remote, body: dict[str, Any], outcome: Outcome, *, dry_run: bool) -> str:
    found = remote.call("GET", f"/v1/clients/{body['id']}", ok=(_MISSING,))
    if found.status_code != _MISSING:
        return f"  client {body['id']} as before"
    if not dry_run:
        made = remote.call("POST", "/v1/clients", json=body).json()
        outcome.secrets[made["client_id"]] = made["client_secret"]
    outcome.changed += 1
    return f"+ client {body['id']} ({body['role']} of {body['agency']})"


def _connector(remote: Remote, body: dict[str, Any], outcome: Outcome, *, dry_run: bool) -> str:
    name = body["connector"]
    found = remote.call("GET", f"/v1/connectors/{name}", ok=(_MISSING,))
    before = found.json()["manifest"] if found.status_code == _FOUND else None
    if dry_run:
        outcome.changed += before != body
        return _difference(name, before, body)
    held = {"If-Match": found.headers["etag"]} if found.status_code == _FOUND else {}
    answer = remote.call("PUT", f"/v1/connectors/{name}", json=body, headers=held, ok=(422,))
    if answer.status_code >= _REFUSED:
        outcome.failed.append(name)
        return f"! connector {name}: {refusal(answer)}"
    state = answer.json()
    if not state["created"] and (state["state"] == "published" or not body.get("fields")):
        return f"  connector {name} as before (revision {state['revision']})"
    outcome.changed += 1
    report = remote.call("POST", f"/v1/connectors/{name}/check").json()
    wrong = next((step for step in report["steps"] if not step["ok"]), None)
    if wrong is not None:
        outcome.failed.append(name)
        problem = wrong["problem"]
        return f"! connector {name} revision {state['revision']}: {wrong['name']} {wrong['field']}: {problem['detail']}"
    mark = "+" if before is None else "~"
    if not body.get("fields"):
        return (
            f"{mark} connector {name} revision {state['revision']} is a draft: its source answers, fields are missing"
        )
    published = remote.call("POST", f"/v1/connectors/{name}/publish", json={"revision": state["revision"]}).json()
    waits = "" if published["joined"] else f"; it answers once the walidata has let it: simpul connector join {name}"
    return f"{mark} connector {name} revision {state['revision']} published{waits}"


def _agreement(remote: Remote, body: dict[str, Any], outcome: Outcome, *, dry_run: bool) -> str:
    """The step that this credential may take: the proposal as the consumer's steward, a signature of the very terms of the document.

    An agreement takes three credentials, so that the same folder is applied by each of them; what waits for another is told.
    """
    name, sent = body["id"], json.loads(json.dumps(body, default=str))
    found = remote.call("GET", f"/v1/agreements/{name}", ok=(_MISSING,))
    if found.status_code == _MISSING:
        return _proposed(remote, name, sent, outcome, dry_run=dry_run)
    shown = found.json()
    if shown["state"] not in _SIGNED_NEXT:
        return f"  agreement {name} is {shown['state']}"
    differs = sorted(member for member, wanted in sent.items() if shown.get(member) != wanted)
    if differs:
        outcome.failed.append(name)
        return f"! agreement {name} is {shown['state']} with other terms than the document: {', '.join(differs)}; it was not signed"
    waits = f"  agreement {name} is {shown['state']} and waits for {_SIGNED_NEXT[shown['state']].format(**shown)}"
    if dry_run:
        return waits
    signed = remote.call(
        "POST", f"/v1/agreements/{name}/approve", headers={"If-Match": found.headers["etag"]}, ok=(_FORBIDDEN,)
    )
    if signed.status_code == _FORBIDDEN:
        return waits
    outcome.changed += 1
    return f"+ agreement {name} {signed.json()['state']}"


def _proposed(remote: Remote, name: str, sent: dict[str, Any], outcome: Outcome, *, dry_run: bool) -> str:
    if not dry_run:
        answer = remote.call("POST", "/v1/agreements", json=sent, ok=(_FORBIDDEN,))
        if answer.status_code == _FORBIDDEN:
            return f"  agreement {name} waits for its proposal by a steward of {sent.get('consumer')}"
    outcome.changed += 1
    return f"+ agreement {name} proposed"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | list) else value


def _difference(name: str, before: Any, after: Any) -> str:
    if before is None:
        return f"+ connector {name}"
    old = yaml.safe_dump(before, sort_keys=False).splitlines()
    new = yaml.safe_dump(after, sort_keys=False).splitlines()
    lines = list(difflib.unified_diff(old, new, "registered", "document", lineterm=""))
    return "\n".join([f"~ connector {name}", *lines]) if lines else f"  connector {name} as before"
