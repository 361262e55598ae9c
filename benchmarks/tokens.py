"""Tokens by `private_key_jwt` under wrk, each with an assertion of its own; and what an access decision costs on the look-up path.

`python -m benchmarks.tokens [--seconds 4] [--alg ES256] [--connections 32]`. The store is SQLite, so each `jti` is on disk before its
token leaves; gateway and wrk share the machine.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.access.decisions import AccessRequest, DecisionCache
from app.access.keys import KeySet, SigningKey
from app.access.tokens import TokenIssuer
from tests.support.gateway import RunningGateway
from tests.support.signing import Signer
from tests.unit.access.making import RESIDENTS, make_agreement, make_client, make_state

MOST_A_SECOND = 4_000
LUA = """
local bodies, at = {{}}, 0
for line in io.lines("{file}") do bodies[#bodies + 1] = line end
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
request = function()
  at = at + 1
  return wrk.format(nil, "/oauth/token", nil, bodies[at])
end
"""


def tokens(alg: str, seconds: int, connections: int) -> float:
    """Tokens per second; every answer must be a 200."""
    with tempfile.TemporaryDirectory() as folder:
        gateway = RunningGateway(Path(folder) / "instance", {"SIMPUL_RATE_PER_MINUTE": "100000000"})
        gateway.init()
        gateway.start()
        try:
            signer = Signer(alg, kid="k")
            gateway.agency("rsud")
            body = {"id": "simrs", "agency": "rsud", "role": "client", "name": "x", "keys": [signer.jwk]}
            assert gateway.admin.post("/v1/clients", json=body).is_success
            now, file = int(time.time()), Path(folder) / "bodies"
            forms = (signer.form("simrs", gateway.url, exp=now + 280) for _ in range(MOST_A_SECOND * seconds))
            file.write_text("\n".join(urlencode(form) for form in forms), "utf-8")
            script = Path(folder) / "ask.lua"
            script.write_text(LUA.format(file=file), "utf-8")
            command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), gateway.url]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        finally:
            gateway.stop()
    if "Non-2xx" in said:
        raise SystemExit(said)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]


def decision_microseconds(times: int = 50_000) -> tuple[float, float]:
    """Checking a token that was seen, and deciding what was decided before: microseconds each, the best of five rounds."""
    client, agreement = make_client(), make_agreement()
    snapshot, issuer, cache = (
        make_state(agreement, clients=(client,)),
        TokenIssuer("https://simpul.example"),
        DecisionCache(),
    )
    private = Ed25519PrivateKey.generate()
    issuer.install(
        KeySet((SigningKey("k", datetime(2026, 1, 1, tzinfo=UTC), private, private.public_key()),)), snapshot
    )
    token = issuer.issue(client).text
    needs = {"fields": None, "needed": frozenset({"nik"}), "officer": "petugas", "case": "RM-1"}
    asked = AccessRequest("verify", RESIDENTS, "dukcapil", purpose="pelayanan_kesehatan", agreement=None, **needs)  # type: ignore[arg-type]
    rounds: list[tuple[float, float]] = []
    for _ in range(5):
        before = time.perf_counter()
        for _ in range(times):
            principal = issuer.verify(token)
        between = time.perf_counter()
        for _ in range(times):
            cache.decide(principal, asked, snapshot, date(2026, 6, 15))
        after = time.perf_counter()
        rounds.append(((between - before) / times * 1e6, (after - between) / times * 1e6))
    return min(one for one, _ in rounds), min(other for _, other in rounds)


def main() -> None:
    """Prints both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--alg", choices=["ES256", "PS256", "EdDSA", "Ed25519"], action="append")
    given = parser.parse_args()
    for alg in given.alg or ["ES256", "PS256", "Ed25519"]:
        print(f"{alg}: {tokens(alg, given.seconds, given.connections):.0f} tokens/s", flush=True)
    checked, decided = decision_microseconds()
    print(f"token check {checked:.1f} us, decision {decided:.1f} us")


if __name__ == "__main__":
    main()
