#!/usr/bin/env bash
# Libraries: PyJWT 2.15.1, joserfc 1.8.0, jwcrypto 1.6.1, Authlib 1.9.10, with cryptography 50.0.2
# Behaviour: RFC 9864 gives Ed25519 keys the algorithm name `Ed25519` in place of `EdDSA`. A published key that says so is lost: PyJWT
#   leaves it out of a key set and, when it was the only one, says that cryptography may not be installed; joserfc takes the name but refuses
#   a token that says `EdDSA` with such a key, and a token that says `Ed25519` with a key that says `EdDSA`. jwcrypto signs with both names.
#   Authlib's own module knows the name not at all. `ESP256` is known to none of them.
# Why one guesses otherwise: the two names mean the same signature by the same key, `alg` of a JWK is optional, and readers are to
#   ignore what they do not know.
# What it costs: an issuer that renames `alg` in its key set shuts out every verifier by PyJWT, with an error that points at their installation.
# Do instead: publish Ed25519 keys without `alg`, or as `EdDSA`, and take both names in what is sent.
# Output seen (this script fails when it changes):
#> PyJWT, key set of one key that says EdDSA: 1
#> PyJWT, key set of one key that says Ed25519: PyJWKSetError: … Perhaps 'cryptography' is not installed?
#> PyJWT, key set of one key that says nothing: 1
#> joserfc, token EdDSA, key EdDSA: verified
#> joserfc, token EdDSA, key Ed25519: UnsupportedKeyAlgorithmError
#> joserfc, token EdDSA, key without alg: verified
#> joserfc, token Ed25519, key EdDSA: UnsupportedKeyAlgorithmError
#> joserfc, token Ed25519, key Ed25519: verified
#> joserfc, token Ed25519, key without alg: verified
#> jwcrypto, token EdDSA: verified
#> jwcrypto, token Ed25519: verified
#> Authlib, token EdDSA: signed
#> Authlib, token Ed25519: UnsupportedAlgorithmError
#> ESP256: PyJWT NotImplementedError, joserfc UnsupportedAlgorithmError, jwcrypto InvalidJWAAlgorithm
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyjwt==2.15.1 joserfc==1.8.0 jwcrypto==1.6.1 authlib==1.9.10 cryptography==50.0.2
"$work/venv/bin/python" -W ignore - >"$work/seen" <<'PY'
import json

import jwt as pyjwt
from joserfc import jwk, jwt
from jwcrypto import jwk as crypto_jwk
from jwcrypto import jwt as crypto_jwt

made = crypto_jwk.JWK.generate(kty="OKP", crv="Ed25519", kid="1")
private, public = json.loads(made.export_private()), json.loads(made.export_public())


def named(key, alg):
    return key if alg is None else {**key, "alg": alg}


def tried(work):
    try:
        return work()
    except Exception as fault:
        said = str(fault)
        tail = f": … {said[said.index('Perhaps'):]}" if "Perhaps" in said else ""
        return type(fault).__name__ + tail


for alg in ("EdDSA", "Ed25519", None):
    found = tried(lambda: len(pyjwt.PyJWKSet.from_dict({"keys": [named(public, alg)]}).keys))
    print(f"PyJWT, key set of one key that says {alg or 'nothing'}: {found}")
for token in ("EdDSA", "Ed25519"):
    sent = jwt.encode({"alg": token}, {"a": 1}, jwk.OKPKey.import_key(private), algorithms=[token])
    for alg in ("EdDSA", "Ed25519", None):
        key = jwk.OKPKey.import_key(named(public, alg))
        found = tried(lambda: jwt.decode(sent, key, algorithms=["EdDSA", "Ed25519"]) and "verified")
        print(f"joserfc, token {token}, key {alg or 'without alg'}: {found}")
for token in ("EdDSA", "Ed25519"):
    one = crypto_jwt.JWT(header={"alg": token}, claims={"a": 1}, algs=[token])
    one.make_signed_token(made)
    print(f"jwcrypto, token {token}:", tried(lambda: crypto_jwt.JWT(jwt=one.serialize(), key=made, algs=[token]) and "verified"))
from authlib.jose import JsonWebKey, JsonWebToken

for token in ("EdDSA", "Ed25519"):
    found = tried(lambda: JsonWebToken([token]).encode({"alg": token}, {"a": 1}, JsonWebKey.import_key(private)) and "signed")
    print(f"Authlib, token {token}: {found}")
curve = crypto_jwk.JWK.generate(kty="EC", crv="P-256")
pem = curve.export_to_pem(private_key=True, password=None)
by_crypto = crypto_jwt.JWT(header={"alg": "ESP256"}, claims={"a": 1}, algs=["ESP256"])
print(
    "ESP256: PyJWT", tried(lambda: pyjwt.encode({"a": 1}, pem, algorithm="ESP256")) + ",",
    "joserfc", tried(lambda: jwt.encode({"alg": "ESP256"}, {"a": 1}, jwk.ECKey.import_key(pem), algorithms=["ESP256"])) + ",",
    "jwcrypto", tried(lambda: by_crypto.make_signed_token(curve)),
)
PY
cat "$work/seen"
sed -n "s/^#> //p" "$0" | diff - "$work/seen"
