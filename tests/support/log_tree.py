"""A log written by the real writer and exported as tiles, the ways to damage it, and the programs that judge it."""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pymerkle import InmemoryTree
from tlog_scales import tiles as scales_tiles
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey

from app.audit.entry.record import Entry, Gateway, Record, uuid7
from app.audit.keys.files import create_log_keys, load_signer, load_verifier
from app.audit.store.sqlite import SqliteLogStore
from app.audit.tlog.checkpoint import Checkpoint, Signer
from app.audit.tlog.policy import Policy
from app.audit.tlog.tiles import bundle
from app.audit.verify.source import sqlite_source
from app.audit.verify.static_tiles import TileBuilder, check_tiles, export_tiles
from app.audit.write.log import ExchangeLog

ORIGIN = "simpul.jepara.example/log"
GATEWAY = Gateway("gw-1", "simpul 0.1.0")
ENTRIES = 600
KEPT = 300
"""Size of the checkpoint that an auditor kept from before the damage."""


@dataclass(frozen=True, slots=True)
class Tree:
    """An exported log: folder, trusted key, the checkpoint that somebody kept from before."""

    folder: Path
    signer: Signer
    kept: Checkpoint

    @property
    def policy(self) -> Policy:
        key = self.signer.verifier
        return Policy(logs={key.name: key})

    @property
    def vkey(self) -> Path:
        return self.folder / "log.vkey"

    def path(self, name: str) -> Path:
        return self.folder / name

    def copy(self, folder: Path) -> Tree:
        shutil.copytree(self.folder, folder)
        return Tree(folder, self.signer, self.kept)


def action() -> Record:
    return Record(Entry(xid=uuid7(), kind="admin", gw=GATEWAY, op="connector.publish", purpose="x" * 40))


def make_tree(folder: Path) -> Tree:
    """A log of 600 entries through the writer, exported."""
    instance, out = folder / "instance", folder / "tiles"
    instance.mkdir()
    create_log_keys(instance, ORIGIN)
    kept = asyncio.run(_write(instance))
    key = load_verifier(instance)
    with sqlite_source(instance, served=False) as fetch:
        export_tiles(fetch, Policy(logs={key.name: key}), out)
    (out / "log.vkey").write_text(key.text() + "\n", "utf-8")
    return Tree(out, load_signer(instance, ORIGIN), kept)


async def _write(folder: Path) -> Checkpoint:
    store = SqliteLogStore(folder, ORIGIN)
    log = await ExchangeLog.open(store, folder, origin=ORIGIN, gateway=GATEWAY, checkpoint_seconds=60)
    await log.append_many([action() for _ in range(KEPT)])
    kept = await log.checkpoint(KEPT)
    await log.append_many([action() for _ in range(ENTRIES - KEPT)])
    await log.close()
    return kept


# --- damage --------------------------------------------------------------------------------------------------------

FIRST, SECOND, EDGE = "tile/entries/000", "tile/entries/001", "tile/entries/002.p/88"
LEAVES, EDGE_LEAVES, UPPER = "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"


def entries_of(content: bytes) -> list[bytes]:
    found, place = [], 0
    while place < len(content):
        length = int.from_bytes(content[place : place + 2])
        found.append(content[place + 2 : place + 2 + length])
        place += 2 + length
    return found


def _bundle(name: str, change: Callable[[list[bytes]], object]) -> Callable[[Tree], None]:
    def damage(tree: Tree) -> None:
        entries = entries_of(tree.path(name).read_bytes())
        change(entries)
        tree.path(name).write_bytes(bundle(entries))

    return damage


def _bytes(name: str, change: Callable[[bytes], bytes]) -> Callable[[Tree], None]:
    return lambda tree: tree.path(name).write_bytes(change(tree.path(name).read_bytes()))  # type: ignore[func-returns-value]


def _missing(name: str) -> Callable[[Tree], None]:
    return lambda tree: tree.path(name).unlink()


def _flip(content: bytes, place: int = 100) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def _swap(entries: list[bytes]) -> None:
    entries[10], entries[11] = entries[11], entries[10]


def _alter(entries: list[bytes]) -> None:
    entries[7] = entries[7].replace(b"connector.publish", b"connector.suspend")


def _note(change: Callable[[str], str]) -> Callable[[Tree], None]:
    return lambda tree: tree.path("checkpoint").write_text(change(tree.path("checkpoint").read_text("utf-8")), "utf-8")  # type: ignore[func-returns-value]


def _other_root(note: str) -> str:
    lines = note.split("\n")
    lines[2] = base64.b64encode(bytes(32)).decode()
    return "\n".join(lines)


def _other_signature(note: str) -> str:
    head, _, encoded = note.rstrip("\n").rpartition(" ")
    return f"{head} {base64.b64encode(_flip(base64.b64decode(encoded), 40)).decode()}\n"


def _other_key(tree: Tree) -> None:
    note = tree.path("checkpoint").read_text("utf-8")
    root = base64.b64decode(note.split("\n")[2])
    tree.path("checkpoint").write_text(Signer(ORIGIN, bytes(32)).checkpoint(ENTRIES, root).note, "utf-8")


def _rewritten(tree: Tree) -> None:
    """An entry changed, every hash made anew, and signed with the log's own key: the operator itself lies."""
    builder, made = TileBuilder(), {}
    for name in (FIRST, SECOND, EDGE):
        entries = entries_of(tree.path(name).read_bytes())
        if name == FIRST:
            _alter(entries)
        made.update(dict(builder.add(entries)))
    made.update(dict(builder.edge()))
    for tile, content in made.items():
        tree.path(tile.path()).write_bytes(content)
    tree.path("checkpoint").write_text(tree.signer.checkpoint(ENTRIES, builder.frontier.root()).note, "utf-8")


DAMAGE: dict[str, Callable[[Tree], None]] = {
    "an entry's bytes changed": _bundle(FIRST, _alter),
    "the last entry of a bundle removed": _bundle(SECOND, lambda entries: entries.pop()),
    "an entry inside a bundle removed": _bundle(SECOND, lambda entries: entries.pop(20)),
    "an entry added to a bundle": _bundle(SECOND, lambda entries: entries.append(entries[0])),
    "an entry added to the last bundle": _bundle(EDGE, lambda entries: entries.append(entries[0])),
    "two entries swapped": _bundle(FIRST, _swap),
    "a bundle cut inside an entry": _bytes(SECOND, lambda content: content[:-5]),
    "a bundle missing": _missing(SECOND),
    "a leaf hash changed": _bytes(LEAVES, _flip),
    "a hash tile missing": _missing(LEAVES),
    "a hash tile cut": _bytes(LEAVES, lambda content: content[:-32]),
    "a hash of the unfinished tile changed": _bytes(EDGE_LEAVES, _flip),
    "a hash of the upper level changed": _bytes(UPPER, lambda content: _flip(content, 10)),
    "the checkpoint's root changed": _note(_other_root),
    "the checkpoint's signature changed": _note(_other_signature),
    "the checkpoint signed by another key": _other_key,
    "rewritten whole and signed anew": _rewritten,
}

# --- judges: True when they accept ---------------------------------------------------------------------------------


def simpul_accepts(tree: Tree) -> bool:
    """`simpul log verify-tiles --since KEPT`."""
    try:
        check_tiles(tree.folder, tree.policy, tree.kept.note)
    except Exception:  # noqa: BLE001 - whatever it says, it does not accept
        return False
    return True


def pymerkle_accepts(tree: Tree) -> bool:
    """pymerkle 7 over the entries of the bundles, with an exact count; it knows no notes, so the root is taken as it is."""
    lines = tree.path("checkpoint").read_text("utf-8").split("\n")
    size, root = int(lines[1]), base64.b64decode(lines[2])
    merkle = InmemoryTree(algorithm="sha256")
    try:
        for n in range(0, size, 256):
            width = min(256, size - n)
            name = f"tile/entries/{n // 256:03d}" + ("" if width == 256 else f".p/{width}")
            entries = entries_of(tree.path(name).read_bytes())
            if len(entries) != width:
                return False
            for entry in entries:
                merkle.append_entry(entry)
    except OSError:
        return False
    return merkle.get_root() == root and merkle.get_root(tree.kept.size) == tree.kept.root


def scales_accepts(tree: Tree) -> bool:
    """tlog-scales: signature, root, each entry's inclusion proof, consistency with the checkpoint that was kept."""
    try:
        reader = TilesReader(LocalBackend(tree.folder))
        checkpoint = reader.get_checkpoint()
        checkpoint.verify(Vkey.from_string(tree.vkey.read_text("utf-8").strip()))
        if reader.calculate_root_hash() != checkpoint.root_hash:
            return False
        for index in range(checkpoint.size):
            leaf = scales_tiles.leaf_hash(reader.get_entry(index))
            reader.get_inclusion_proof(index, checkpoint.size).check(leaf, checkpoint.root_hash)
        reader.get_consistency_proof(tree.kept.size, checkpoint.size).check(tree.kept.root, checkpoint.root_hash)
    except Exception:  # noqa: BLE001 - a library that raises does not accept
        return False
    return True


def fsck_accepts(tree: Tree, program: str, url: str | None = None, token: str = "") -> bool:
    """Tessera's fsck. v1.0.4 ends with 0 on damage and may hang: its words count, and it has a time limit."""
    command = [program, "--ui=false", "--N=2", f"--storage_url={url or tree.folder.as_uri() + '/'}"]
    command += [f"--public_key={tree.vkey}", f"--origin={ORIGIN}"]
    command += [f"--bearer_token={token}"] if token else []
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return False
    said = run.stdout + run.stderr
    return run.returncode == 0 and "Successfully fsck'd log with size" in said and not re.search("fsck failed", said)
