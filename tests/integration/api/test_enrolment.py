"""An agency registers its own key with a one-time code: over HTTP and by the command, on both stores."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.gateway import RunningGateway
from tests.support.programs import SIMPUL
from tests.support.signing import Signer


def bare(gateway: RunningGateway, client_id: str) -> str:
    """The code of a new client without a credential."""
    body = {"id": client_id, "agency": "rsud", "role": "client", "name": "SIMRS", "enrol": True}
    made = gateway.admin.post("/v1/clients", json=body)
    assert made.status_code == 201, made.text
    assert "client_secret" not in made.json()
    assert made.json()["proves_by"] == "nothing"
    return str(made.json()["enrolment_code"])


def enrol(gateway: RunningGateway, signer: Signer, client_id: str, code: str, **changed: Any) -> httpx.Response:
    body = {
        "client_id": client_id,
        "code": code,
        "key": signer.jwk,
        "client_assertion": signer.assertion(client_id, gateway.url),
        **changed,
    }
    return httpx.post(f"{gateway.url}/oauth/enrol", json=body, trust_env=False)


def token(gateway: RunningGateway, signer: Signer, client_id: str) -> int:
    form = signer.form(client_id, gateway.url)
    return httpx.post(f"{gateway.url}/oauth/token", data=form, trust_env=False).status_code


@pytest.mark.parametrize("alg", ["ES256", "PS256", "Ed25519"])
def test_a_code_lets_in_one_key_once(gateway: RunningGateway, alg: str) -> None:
    client, signer = f"simrs-daftar-{alg.lower()}", Signer(alg)
    code = bare(gateway, client)
    answer = enrol(gateway, signer, client, code)
    assert answer.status_code == 201, answer.text
    assert answer.json()["issuer"] == gateway.url
    assert token(gateway, signer, client) == 200
    again = enrol(gateway, Signer(alg), client, code)
    assert (again.status_code, again.json()["code"]) == (401, "enrolment_invalid")
    assert token(gateway, signer, client) == 200
    supervisor = gateway.client("supervisor", "rsud")
    entries = [
        one
        for one in supervisor.get("/v1/exchanges", params={"limit": 50}).json()["items"]
        if one["op"] == "client.enrol"
    ]
    assert {one["kind"] for one in entries} == {"intent", "admin"}
    assert any(answer.json()["key"]["thumbprint"] in str(one) for one in entries)


def test_a_code_takes_the_place_of_a_secret(gateway: RunningGateway) -> None:
    made = gateway.admin.post("/v1/clients", json={"agency": "rsud", "role": "client", "name": "x"}).json()
    session = gateway.session(made["client_id"], made["client_secret"])
    first = gateway.admin.post(f"/v1/clients/{made['client_id']}/enrolment").json()["enrolment_code"]
    second = gateway.admin.post(f"/v1/clients/{made['client_id']}/enrolment").json()["enrolment_code"]
    signer = Signer("Ed25519")
    assert enrol(gateway, signer, made["client_id"], first).status_code == 401, "the earlier code is void"
    assert session.get("/v1/access").status_code == 200, "nothing changes before it is used"
    assert enrol(gateway, signer, made["client_id"], second).status_code == 201
    time.sleep(0.3)
    assert session.get("/v1/access").status_code == 401
    assert token(gateway, signer, made["client_id"]) == 200


def test_wrong_codes_strangers_and_disabled_clients_are_told_the_same(gateway: RunningGateway) -> None:
    signer = Signer("Ed25519")
    code = bare(gateway, "simrs-tutup")
    told = {enrol(gateway, signer, "simrs-tutup", "x").text.partition("trace_id")[0]}
    assert gateway.admin.patch("/v1/clients/simrs-tutup", json={"disabled": True}).status_code == 200
    for client in ("simrs-tutup", "nobody"):
        answer = enrol(gateway, signer, client, code)
        assert answer.status_code == 401
        told.add(answer.text.partition("trace_id")[0])
    assert len(told) == 1


def test_the_sender_must_hold_the_key(gateway: RunningGateway) -> None:
    code, signer, other = bare(gateway, "simrs-bukti"), Signer("ES256"), Signer("ES256")
    for proof in (other.assertion("simrs-bukti", gateway.url), signer.assertion("simrs-lain", gateway.url)):
        answer = enrol(gateway, signer, "simrs-bukti", code, client_assertion=proof)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/client_assertion"
    wrong = signer.assertion("simrs-bukti", "https://elsewhere.example")
    assert enrol(gateway, signer, "simrs-bukti", code, client_assertion=wrong).status_code == 401
    private = {**signer.jwk, "d": "AAAA"}
    assert enrol(gateway, signer, "simrs-bukti", code, key=private).json()["errors"][0]["pointer"] == "/key/d"
    assert enrol(gateway, signer, "simrs-bukti", code).status_code == 201, "the code was not used up"


def test_keys_and_a_code_together_are_refused(gateway: RunningGateway) -> None:
    body = {"agency": "rsud", "role": "client", "name": "x", "enrol": True, "keys": [Signer().jwk]}
    assert gateway.admin.post("/v1/clients", json=body).status_code == 422


def test_the_command_makes_a_key_registers_it_and_signs_with_it(gateway: RunningGateway, tmp_path: Path) -> None:
    client = f"simrs-cli-{tmp_path.name[:20].strip('_-').lower()}".replace("_", "-")
    code, key = bare(gateway, client), tmp_path / "simrs.pem"

    def run(*words: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*SIMPUL, *words], input=given, text=True, capture_output=True, check=False, timeout=60,
            env={**gateway.environment, "SIMPUL_URL": gateway.url, **environment},
        )  # fmt: skip

    done = run("client", "enrol", client, "--key", str(key), given=f"{code}\n")
    assert done.returncode == 0, done.stderr
    assert key.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in done.stdout
    asked = run("agency", "list", SIMPUL_CLIENT_ID=client, SIMPUL_CLIENT_KEY=str(key))
    assert asked.returncode == 0, asked.stderr
    assert "rsud" in asked.stdout
    key.chmod(0o644)
    assert "chmod 600" in run("agency", "list", SIMPUL_CLIENT_ID=client, SIMPUL_CLIENT_KEY=str(key)).stderr
    admin = {"SIMPUL_CLIENT_ID": gateway.credential[0], "SIMPUL_CLIENT_SECRET": gateway.credential[1]}
    made = run("client", "enrolment", client, **admin)
    assert made.returncode == 0, made.stderr
    assert "shown once" in made.stdout
    key.chmod(0o600)
    public = tmp_path / "simrs.pub"
    subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(public)], check=True)
    assert run("client", "keys", client, str(public), **admin).returncode == 0
    refused = run("client", "keys", client, str(key), **admin)
    assert refused.returncode != 0
    assert "stays with the client" in refused.stderr
