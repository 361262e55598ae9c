"""Programs of others on a running gateway: Tessera's fsck reads the served log, omniwitness and litewitness cosign it."""

from __future__ import annotations

import base64
import contextlib
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app.audit.tlog.checkpoint import Verifier
from app.audit.tlog.cosignatures import WitnessKey, key_id
from app.audit.tlog.merkle import EMPTY_ROOT
from app.audit.tlog.policy import parse_policy
from app.audit.tlog.tiles import tiles_of
from tests.support.gateway import RunningGateway
from tests.support.go_tools import go_program
from tests.support.ports import free_port

pytestmark = pytest.mark.external


def vkey(gateway: RunningGateway) -> str:
    return (gateway.folder / "log.vkey").read_text("utf-8").strip()


def origin(gateway: RunningGateway) -> str:
    return Verifier.parse(vkey(gateway)).name


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def grow(gateway: RunningGateway, count: int) -> int:
    """So many exchanges more; returns the published size that has them."""
    before = httpx.get(f"{gateway.url}/log/checkpoint", trust_env=False).text
    for _ in range(count):
        assert gateway.admin.get("/v1/records/fasilitas-kesehatan").status_code in {200, 503}
    until(lambda: httpx.get(f"{gateway.url}/log/checkpoint", trust_env=False).text != before)
    return Verifier.parse(vkey(gateway)).open(httpx.get(f"{gateway.url}/log/checkpoint", trust_env=False).text).size


def test_tesseras_fsck_accepts_the_served_log(served):
    served.start()
    size = grow(served, 300)
    assert size > 300
    auditor = served.client("auditor", "diskominfo")
    command = [go_program("fsck"), "--ui=false", "--N=2", f"--storage_url={served.url}/log/"]
    command += [f"--public_key={served.folder / 'log.vkey'}", f"--origin={origin(served)}"]
    command += [f"--bearer_token={auditor.headers['authorization'].removeprefix('Bearer ')}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    said = run.stdout + run.stderr
    assert run.returncode == 0, said
    assert "Successfully fsck'd log with size" in said, said
    assert "fsck failed" not in said, said
    for tile in tiles_of(size):  # fsck does not notice surplus entries: the exact count of each bundle
        if tile.level is None:
            content, count = auditor.get(f"/log/{tile.path()}").content, 0
            while content:
                content, count = content[2 + int.from_bytes(content[:2]) :], count + 1
            assert count == tile.width


def cosigned_by(gateway: RunningGateway, witness_vkey: str, witness_url: str) -> None:
    """Two starts and growth between them, each checkpoint cosigned by the witness."""
    policy = gateway.folder / "policy"
    text = f"log {vkey(gateway)}\nwitness w {witness_vkey} {witness_url}\nquorum w\n"
    policy.write_text(text, "utf-8")
    gateway.environment["SIMPUL_LOG_POLICY"] = str(policy)
    trusted = parse_policy(text)
    for count in (3, 300):
        gateway.start()
        size = grow(gateway, count)

        def cosigned(size: int = size) -> bool:
            note = httpx.get(f"{gateway.url}/log/checkpoint", trust_env=False).text
            return bool(trusted.cosignatures(note)) and trusted.open(note).size >= size

        until(cosigned)
        state = httpx.get(f"{gateway.url}/status", trust_env=False).json()["log"]["witnesses"]
        assert [(found["name"], found["fault"]) for found in state] == [("w", None)]
        assert gateway.stop() == 0


def listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def running(command: list[str], port: int, folder: Path, environment: dict[str, str] | None = None):
    with (folder / "witness.log").open("wb") as log:
        child = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
        try:
            until(lambda: listening(port))
            yield
        finally:
            child.terminate()
            child.wait(timeout=20)


def test_omniwitness_cosigns_the_served_log(served, tmp_path):
    folder, port = tmp_path, free_port()
    keys = ["--origin=witness.test/w1", "--out_priv=w.sec", "--out_pub=w.pub"]
    subprocess.run([go_program("generate_keys"), *keys], cwd=folder, check=True, timeout=60, capture_output=True)
    (folder / "logs.yaml").write_text(
        f"Logs:\n  - Origin: {origin(served)}\n    URL: {served.url}/log/\n    PublicKey: {vkey(served)}\n", "utf-8"
    )
    command = [go_program("omniwitness"), f"--listen=127.0.0.1:{port}", "--metrics_listen=", "--db_file=w.db"]
    command += ["--private_key_path=w.sec", "--additional_logs=logs.yaml"]
    key = next(line for line in (folder / "w.pub").read_text("utf-8").split() if line.startswith("witness.test/w1+"))
    with running(command, port, folder):
        cosigned_by(served, key, f"http://127.0.0.1:{port}")


def test_litewitness_cosigns_the_served_log(served, tmp_path):
    folder, port = tmp_path, free_port()
    pem, agent = folder / "w.pem", folder / "agent"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(pem)], check=True, timeout=20)
    public = base64.b64decode((folder / "w.pem.pub").read_text("ascii").split()[1])[-32:]
    fingerprint = subprocess.run(
        ["ssh-keygen", "-lf", str(pem) + ".pub"], check=True, capture_output=True, text=True, timeout=20
    ).stdout.split()[1]
    name = "witness.test/lw"
    key = WitnessKey(name, public).text()
    assert key_id(name, public, 4).hex() in key
    command = [go_program("litewitness"), "-db", "lw.db", "-name", name, "-ssh-agent", str(agent), "-key", fingerprint]
    command += ["-listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(agent)], stdout=subprocess.DEVNULL) as keeper:
        try:
            until(agent.exists)
            subprocess.run(
                ["ssh-add", "-q", str(pem)],
                env={"SSH_AUTH_SOCK": str(agent)},
                check=True,
                timeout=20,
                capture_output=True,
            )
            with running(command, port, folder):  # makes its tables; its own admin program cannot be built
                pass
            empty = base64.b64encode(EMPTY_ROOT).decode()
            with contextlib.closing(sqlite3.connect(folder / "lw.db")) as connection:
                connection.execute("INSERT INTO log VALUES (?, 0, ?)", (origin(served), empty))
                connection.execute("INSERT INTO key VALUES (?, ?)", (origin(served), vkey(served)))
                connection.commit()
            with running(command, port, folder):
                cosigned_by(served, key, f"http://127.0.0.1:{port}")
        finally:
            keeper.terminate()
