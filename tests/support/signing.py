"""A client that signs: one key pair, its public JWK, assertions of every kind, also wrong ones."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def encoded(content: bytes | dict[str, Any]) -> str:
    """Base64url of bytes, or of a JSON object."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _number(value: int, size: int) -> str:
    return encoded(value.to_bytes(size, "big"))


class Signer:
    """Signs with the bare primitives, so that nothing of the gateway's own way of reading is used."""

    def __init__(self, alg: str = "ES256", kid: str | None = None, bits: int = 2048) -> None:
        self.alg = alg
        self.kid = kid
        if alg == "ES256":
            self.private: Any = ec.generate_private_key(ec.SECP256R1())
            point = self.private.public_key().public_numbers()
            self.jwk: dict[str, Any] = {
                "kty": "EC",
                "crv": "P-256",
                "x": _number(point.x, 32),
                "y": _number(point.y, 32),
            }
        elif alg in {"PS256", "RS256"}:
            self.private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
            numbers = self.private.public_key().public_numbers()
            self.jwk = {"kty": "RSA", "n": _number(numbers.n, bits // 8), "e": "AQAB"}
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()
            self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": encoded(self.private.public_key().public_bytes_raw())}
        if kid is not None:
            self.jwk["kid"] = kid

    def jws(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        """A signed compact JWS with exactly this header and these claims."""
        text = f"{encoded(header)}.{encoded(claims)}"
        return f"{text}.{encoded(self._sign(text.encode()))}"

    def assertion(self, client_id: str, audience: Any, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A client assertion; `claims` replace its own, None takes one away."""
        head = {"alg": self.alg, "typ": "JWT", **({"kid": self.kid} if self.kid else {}), **(header or {})}
        now = int(time.time())
        body = {"iss": client_id, "sub": client_id, "aud": audience, "jti": secrets.token_urlsafe(16), "iat": now}
        body |= {"exp": now + 60, **claims}
        return self.jws(head, {name: value for name, value in body.items() if value is not None})

    def proof(
        self, method: str, url: str, *, token: str | None = None, header: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """A DPoP proof; `claims` replace its own, None takes one away."""
        jwk = {name: value for name, value in self.jwk.items() if name != "kid"}
        body: dict[str, Any] = {"htm": method, "htu": url, "iat": int(time.time()), "jti": secrets.token_urlsafe(16)}
        if token is not None:
            body["ath"] = encoded(hashlib.sha256(token.encode()).digest())
        kept = {name: value for name, value in {**body, **claims}.items() if value is not None}
        return self.jws({"typ": "dpop+jwt", "alg": self.alg, "jwk": jwk, **(header or {})}, kept)

    def form(self, client_id: str, audience: Any, **more: Any) -> dict[str, str]:
        """The form of a token request."""
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(client_id, audience, **more),
        }

    def _sign(self, text: bytes) -> bytes:
        if self.alg == "ES256":
            r, s = decode_dss_signature(self.private.sign(text, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        if self.alg == "PS256":
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
            return bytes(self.private.sign(text, pss, hashes.SHA256()))
        if self.alg == "RS256":
            return bytes(self.private.sign(text, padding.PKCS1v15(), hashes.SHA256()))
        return bytes(self.private.sign(text))
