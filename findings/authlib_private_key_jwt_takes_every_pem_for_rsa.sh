#!/usr/bin/env bash
# Library: Authlib 1.9.9 with joserfc 1.8.0 and requests 2.34.2
# Behaviour: OAuth2Session with token_endpoint_auth_method PrivateKeyJWT(alg="ES256") and the PEM of an elliptic curve key as its
#   client_secret raises InvalidKeyTypeError (wanted: RSA) before anything is sent; so does an Ed25519 PEM with EdDSA. An RSA PEM works.
# Why one guesses otherwise: `alg` says which kind of key it is, the PEM itself says it too, and FAPI 2.0 allows no algorithm of plain RSA
#   but PS256: the keys that one is told to use are the ones that fail.
# What it costs: the error names a key type that nobody stated, so that the key is suspected and made anew.
# Do instead: hand over a key object (joserfc.jwk.ECKey.import_key, OKPKey.import_key) in place of the PEM.
# Output seen (this script fails when it changes):
#> RSA PEM, PS256: an assertion
#> EC PEM, ES256: InvalidKeyTypeError
#> Ed25519 PEM, Ed25519: InvalidKeyTypeError
#> EC key object, ES256: an assertion
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet authlib==1.9.9 joserfc==1.8.0 requests==2.34.2 cryptography==50.0.2
"$work/venv/bin/python" -W ignore - >"$work/seen" <<'PY'
import http.server
import threading
from urllib.parse import parse_qs

from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.jwk import ECKey


class Endpoint(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        self.server.seen = "an assertion" if "client_assertion" in form else "none"
        body = b'{"access_token": "x", "token_type": "Bearer", "expires_in": 60}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


server = http.server.HTTPServer(("127.0.0.1", 0), Endpoint)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/token"
curve = pem(ec.generate_private_key(ec.SECP256R1()))
cases = (
    ("RSA PEM, PS256", "PS256", pem(rsa.generate_private_key(65537, 2048))),
    ("EC PEM, ES256", "ES256", curve),
    ("Ed25519 PEM, Ed25519", "Ed25519", pem(ed25519.Ed25519PrivateKey.generate())),
    ("EC key object, ES256", "ES256", ECKey.import_key(curve)),
)
for name, alg, key in cases:
    method = PrivateKeyJWT(url, alg=alg)
    session = OAuth2Session("simrs", key, token_endpoint_auth_method="private_key_jwt", token_endpoint=url)
    session.trust_env = False
    session.register_client_auth_method(method)
    try:
        session.fetch_token(url, grant_type="client_credentials")
        print(f"{name}: {server.seen}")
    except Exception as error:
        print(f"{name}: {type(error).__name__}")
server.shutdown()
PY
cat "$work/seen"
sed -n 's/^#> //p' "$0" | diff - "$work/seen"
