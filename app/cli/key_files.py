"""Files of keys on the machine of a client: public ones in every usual form, private ones in PEM of mode 0600."""

from __future__ import annotations

import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from app.cli.output import fail

_MEMBERS = ("kty", "crv", "x", "y", "n", "e")
_MOST_BYTES = 65_536


def public_keys(file: Path) -> list[dict[str, Any]]:
    """The JWKs of a PEM, JWK or JWKS file. A private key ends the command before anything is sent."""
    try:
        content = file.read_bytes()[:_MOST_BYTES]
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    if b"PRIVATE KEY" in content:
        fail(f"{file} holds a private key: it stays with the client. Send its public half (openssl pkey -pubout).")
    if b"-----BEGIN" in content:
        return [_from_pem(file, content)]
    try:
        document = json.loads(content)
    except ValueError:
        fail(f"{file} is neither PEM nor JSON (JWK, JWKS)")
    found = document.get("keys", [document]) if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        fail(f"{file} is no JWK and no JWKS")
    if any("d" in one or "k" in one for one in found):
        fail(f"{file} holds a private key: it stays with the client. Send the public members alone.")
    return found


def public_jwk(public: Any) -> dict[str, Any]:
    """A public key as a JWK."""
    if isinstance(public, EllipticCurvePublicKey):
        made: dict[str, Any] = ECAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, RSAPublicKey):
        made = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, Ed25519PublicKey):
        made = OKPAlgorithm.to_jwk(public, as_dict=True)
    else:
        fail("this kind of key is not taken: P-256, Ed25519, or RSA of 2048 to 4096 bits")
    return {name: made[name] for name in _MEMBERS if name in made}


def _from_pem(file: Path, content: bytes) -> dict[str, Any]:
    try:
        return public_jwk(load_pem_public_key(content))
    except ValueError:
        fail(f"{file} holds no public key (-----BEGIN PUBLIC KEY-----)")


def private_key(file: Path, *, make: bool = False) -> Any:
    """The private key of a PEM file of mode 0600; with `make` a new Ed25519 one where there is none."""
    if make and not file.exists():
        made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(made)
    try:
        if os.name == "posix" and file.stat().st_mode & 0o077:
            fail(f"{file} can be read by others; run: chmod 600 {file}")
        return load_pem_private_key(file.read_bytes()[:_MOST_BYTES], password=None)
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    except (ValueError, TypeError):
        fail(f"{file} holds no private key in PEM without a password")


def assertion(private: Any, client_id: str, issuer: str) -> str:
    """A client assertion for one request (RFC 7523), valid for a minute."""
    jwk, now = public_jwk(private.public_key()), int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "jti": secrets.token_urlsafe(16),
        "iat": now,
        "exp": now + 60,
    }
    algorithm = {"EC": "ES256", "RSA": "PS256", "OKP": "EdDSA"}[jwk["kty"]]
    return jwt.encode(claims, private, algorithm=algorithm)
