"""`simpul client enrolment` and `enrol`: a code from the walidata, a key that never leaves the agency's machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.key_files import assertion, private_key, public_jwk
from app.cli.output import fail, say
from app.cli.remote import Remote, connect

Url = Annotated[str | None, typer.Option("--url", help="Address of the gateway (SIMPUL_URL)")]
Profile = Annotated[Path | None, typer.Option("--profile", help="Profile file of mode 0600")]


def open_enrolment(client: str, url: Url = None, profile: Profile = None) -> None:
    """Make a code by which the agency registers a key of its own; shown once, for one use within three days (walidata)."""
    made = connect(url, profile).call("POST", f"/v1/clients/{client}/enrolment").json()
    say(f"client_id  {made['client_id']}")
    say(f"code       {made['enrolment_code']}   (shown once, until {made['enrolment_expires_at']})")


def enrol(
    client: str,
    key: Annotated[
        Path, typer.Option(help="File of the private key (PEM, mode 0600); a new one is made where there is none")
    ],
    url: Url = None,
) -> None:
    """Register the key of an application with the code from the walidata, which is read from standard input."""
    address = url or os.environ.get("SIMPUL_URL")
    if not address:
        fail("the address of the gateway is not given: --url or SIMPUL_URL")
    remote, private = Remote(address), private_key(key, make=True)
    code = sys.stdin.readline().strip()
    body = {
        "client_id": client,
        "code": code,
        "key": public_jwk(private.public_key()),
        "client_assertion": assertion(private, client, remote.issuer()),
    }
    found = remote.call("POST", "/oauth/enrol", json=body).json()
    say(f"registered {found['key']['thumbprint']}")
    say(f"next: SIMPUL_CLIENT_ID={client} SIMPUL_CLIENT_KEY={key} simpul …")
