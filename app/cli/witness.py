"""`simpul witness …`: cosigning the log of another agency, so that nobody can show two people two different logs."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from app.api.witness_server import witness_app
from app.audit.keys.durable_files import create_file
from app.audit.tlog.checkpoint import COSIGNATURE, KEY_BYTES, NoteError, Verifier, decode_base64
from app.audit.tlog.cosignatures import Cosigner
from app.audit.witness import Witness
from app.cli.output import fail, say

KEY_FILE = "witness.key"

Folder = Annotated[Path, typer.Option("--dir", help="Folder of the witness: its key and what it has seen")]


def serve(
    log: Annotated[list[Path], typer.Option(help="File with the public key of a log to witness; may be given again")],
    name: Annotated[str, typer.Option(help="Name of the witness: a schemeless address, fixed with its first start")],
    folder: Folder = Path(".simpul-witness"),
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on")] = 8100,
) -> None:
    """Run a witness (C2SP tlog-witness). Makes its key at the first start and prints the line for the log's policy file."""
    logs: dict[str, Verifier] = {}
    for path in log:
        try:
            key = Verifier.parse(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, NoteError) as error:
            fail(f"{path}: {error}")
        logs[key.name] = key
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    cosigner = _cosigner(folder, name)
    say(f"witness {name} {cosigner.key.text()} http://{host}:{port}")
    witness = Witness(folder, cosigner, logs)
    try:
        uvicorn.run(witness_app(witness, cosigner.key.text()), host=host, port=port, log_level="warning")
    finally:
        witness.close()


def _cosigner(folder: Path, name: str) -> Cosigner:
    """The witness's key, made when it is not there."""
    path = folder / KEY_FILE
    try:
        fresh = Cosigner(name, os.urandom(KEY_BYTES))
        create_file(path, f"{name} {base64.b64encode(bytes([COSIGNATURE]) + fresh.seed()).decode()}\n".encode())
        kept, _, encoded = path.read_text("utf-8").strip().partition(" ")
        raw = decode_base64(encoded)
    except (OSError, NoteError) as error:
        fail(f"{path}: {error}")
    if kept != name or len(raw) != 1 + KEY_BYTES or raw[0] != COSIGNATURE:
        fail(f"{path}: this is the key of the witness {kept}; a witness keeps its name")
    return Cosigner(name, raw[1:])
