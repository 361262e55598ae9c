"""`simpul log …`: verification of the store itself (read only, also on a copied folder) and of receipts, offline."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.audit.keys.files import load_verifier
from app.audit.tlog.checkpoint import NoteError, Verifier
from app.audit.tlog.policy import Policy, PolicyError, parse_policy
from app.audit.tlog.receipts import ReceiptError, check_receipt, parse_receipt
from app.audit.verify.checks import Finding
from app.audit.verify.static_tiles import check_tiles, export_tiles
from app.audit.verify.stored_log import settings_source, verify_settings
from app.cli.output import FINDING, fail, faults, note, say, show
from app.settings import load_settings

Folder = Annotated[
    Path | None, typer.Option("--dir", help="Folder of the instance, or a copy of it", show_default=".simpul")
]


def verify_log(
    folder: Folder = None,
    since: Annotated[Path | None, typer.Option(help="File with a signed checkpoint that the log must extend")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable result")] = False,
) -> None:
    """Verify the whole log: every hash, column, detail, tag, checkpoint. Exit 0 verified, 1 broken (names the index), 2 could not run."""
    with faults():
        settings = load_settings(dir=folder)
        try:
            checkpoint = since.read_text("utf-8") if since is not None else None
        except OSError as error:
            fail(f"{since}: {error.strerror}")
        found = verify_settings(settings, since=checkpoint, progress=_progress if sys.stderr.isatty() else None)
    if as_json:
        show(asdict(found))
    elif found.ok:
        say(f"verified: {found.size} entries, {found.checkpoints_checked} signed checkpoints, root {found.root}")
    else:
        say(f"first broken index: {found.first_broken_index}")
        say(f"reason: {found.reason}")
    if found.erased_details and not as_json:
        entries = ", ".join(map(str, found.erased_by))
        say(f"erased: the details of {found.erased_details} entries, as recorded by entries {entries}")
    for warning in found.warnings:
        note(f"warning: {warning}")
    if not found.ok:
        raise typer.Exit(FINDING)


def verify_receipt(
    receipt: Annotated[Path, typer.Argument(help="Receipt as GET /v1/exchanges/{id}/receipt gave it")],
    policy: Annotated[Path | None, typer.Option(help="File with trusted logs and witnesses (C2SP tlog-policy)")] = None,
    vkey: Annotated[Path | None, typer.Option(help="File with the log's public key, instead of a policy")] = None,
    body: Annotated[Path | None, typer.Option(help="The answer as received, to be compared too")] = None,
    entry: Annotated[Path | None, typer.Option(help="The entry's bytes, for a proof that carries none")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable result")] = False,
) -> None:
    """Verify a receipt offline. Exit 0 proven, 1 not proven (says what does not hold), 2 could not run."""
    trusted = _trusted(policy, vkey)
    try:
        found = check_receipt(
            parse_receipt(_read(receipt)),
            trusted,
            entry=None if entry is None else _read_bytes(entry),
            body=None if body is None else _read_bytes(body),
        )
    except ReceiptError as error:
        if as_json:
            show({"ok": False, "reason": str(error)})
        else:
            say(f"not proven: {error}")
        raise typer.Exit(FINDING) from None
    checkpoint = found.checkpoint
    if as_json:
        facts = {"ok": True, "origin": checkpoint.origin, "index": found.index, "tree_size": checkpoint.size}
        show({**facts, "body_checked": found.body_checked, "entry": dict(found.members)})
        return
    say(f"proven: entry {found.index} of {checkpoint.origin}, in the signed tree of {checkpoint.size} entries")
    members = found.members
    say(
        f"exchange {members.get('xid')}: {members.get('kind')} {members.get('op')}, status {members.get('status')}, {members.get('t')}"
    )
    say("the body is the one that was released" if found.body_checked else "the body was not compared (--body FILE)")


def export_log(
    out: Annotated[Path, typer.Argument(help="Folder to write; must be new or empty")],
    folder: Folder = None,
) -> None:
    """Write the whole log as static files (C2SP tlog-tiles), for an archive or any web server. Exit 1 when it is broken."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        fail(f"{out}: choose a new or empty folder")
    with faults():
        settings = load_settings(dir=folder)
        key = load_verifier(settings.dir)
        progress = _progress if sys.stderr.isatty() else None
        try:
            with settings_source(settings) as fetch:
                found = export_tiles(fetch, Policy(logs={key.name: key}), out, progress)
        except (Finding, NoteError) as error:
            fail(f"not exported: {error}", FINDING)
    (out / "log.vkey").write_text(key.text() + "\n", "utf-8")
    say(f"exported: {found.size} entries of {found.origin}, root {found.root.hex()}")


def verify_tiles(
    folder: Annotated[
        Path, typer.Argument(help="Folder that `simpul log export` wrote, or a copy of the served files")
    ],
    policy: Annotated[Path | None, typer.Option(help="File with trusted logs and witnesses (C2SP tlog-policy)")] = None,
    vkey: Annotated[Path | None, typer.Option(help="File with the log's public key, instead of a policy")] = None,
    since: Annotated[Path | None, typer.Option(help="File with a signed checkpoint that the log must extend")] = None,
    max_age_seconds: Annotated[
        int | None, typer.Option(min=1, help="Witnesses must have cosigned the checkpoint within this time")
    ] = None,
) -> None:
    """Verify a folder of tiles, offline: every entry, hash and signature. Exit 0 verified, 1 broken, 2 could not run."""
    trusted = _trusted(policy, vkey)
    older = None if since is None else _read(since)
    if not folder.is_dir():
        fail(f"{folder}: not a folder")
    try:
        fresh_since = None if max_age_seconds is None else int(time.time()) - max_age_seconds
        progress = _progress if sys.stderr.isatty() else None
        found = check_tiles(folder, trusted, older, fresh_since=fresh_since, progress=progress)
    except (Finding, NoteError) as error:
        say(f"first broken index: {getattr(error, 'index', None)}")
        say(f"reason: {error}")
        raise typer.Exit(FINDING) from None
    say(f"verified: {found.size} entries of {found.origin}, root {found.root.hex()}")


def _trusted(policy: Path | None, vkey: Path | None) -> Policy:
    """The keys of exactly one of the two files."""
    if (policy is None) == (vkey is None):
        fail("give --policy FILE or --vkey FILE: what is verified is checked against keys that you trust")
    try:
        return parse_policy(_read(policy)) if policy is not None else _one_log(_read(vkey or Path()))
    except (PolicyError, NoteError) as error:
        fail(f"{policy or vkey}: {error}")


def _one_log(text: str) -> Policy:
    key = Verifier.parse(text)
    return Policy(logs={key.name: key})


def _read(path: Path) -> str:
    try:
        return _read_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        fail(f"{path}: not a text in UTF-8")


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        fail(f"{path}: {error.strerror}")


def show_vkey(folder: Folder = None) -> None:
    """Print the log's public key, for verifiers."""
    with faults():
        say(load_verifier(load_settings(dir=folder).dir).text())


def _progress(done: int, total: int) -> None:
    sys.stderr.write(f"\r{done} of {total} entries")
    sys.stderr.flush()
    if done >= total:
        sys.stderr.write("\n")
