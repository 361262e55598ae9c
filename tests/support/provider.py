"""A small OpenID provider on the loopback: discovery, authorization code with PKCE, signed ID tokens. Each answer can be bent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from tests.support.signing import Signer

CLIENT, SECRET = "simpul", "rahasia-di-penyedia-saja"
Bend = Callable[[dict[str, Any]], None]


class OpenIdProvider:
    """One provider. `subject`, `claims`: who signs in next; `bend`: changes the claims before they are signed.

    `others`: keys published before its own; `edwards`: signs instead of the RSA key.
    """

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "satu"})
        self.subject, self.claims = "sub-1", dict[str, Any]()
        self.bend: Bend = lambda _claims: None
        self.signed_in_at: float | None = None
        self.forged: str | None = None
        self.metadata = dict[str, Any]()
        self.others = list[dict[str, Any]]()
        self.edwards: Signer | None = None
        self.codes = dict[str, dict[str, str]]()
        self.asked = list[dict[str, str]]()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops the server."""
        self.server.shutdown()
        self.server.server_close()

    def straight(self) -> None:
        """An honest provider again."""
        self.bend, self.signed_in_at, self.forged = lambda _claims: None, None, None
        self.claims, self.metadata, self.others, self.edwards = {}, {}, [], None

    def discovery(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """The person signs in at once; where the browser goes then."""
        self.asked.append(asked)
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert (asked["code_challenge_method"], len(asked["code_challenge"])) == ("S256", 43)
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": self.url}
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """RFC 6749, section 4.1.3, with RFC 7636: a code once, for its client and its verifier."""
        expected = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if authorization != f"Basic {expected}":
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form.get("code", ""), None)
        proof = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
        if asked is None or challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "t", "token_type": "Bearer", "expires_in": 60, "id_token": self.id_token(asked)}

    def id_token(self, asked: dict[str, str]) -> str:
        """Signed, or forged as the case wants it."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url, "sub": self.subject, "aud": CLIENT, "iat": now, "exp": now + 120, "nonce": asked["nonce"],
            **self.claims,
        }  # fmt: skip
        if "max_age" in asked or self.signed_in_at is not None:
            claims["auth_time"] = int(self.signed_in_at if self.signed_in_at is not None else now)
        self.bend(claims)
        if self.forged == "none":
            parts = [{"alg": "none", "typ": "JWT"}, claims]
            return (
                ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts)
                + "."
            )
        if self.forged == "hs256":
            return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET), algorithms=["HS256"])
        if self.forged == "public_key":  # the classic confusion: the public key as a shared secret
            parts = [{"alg": "HS256", "kid": "satu", "typ": "JWT"}, claims]
            text = ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts)
            digest = hmac.digest(self.key.as_pem(private=False), text.encode(), "sha256")
            return f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
        if self.edwards is not None:
            return self.edwards.jws({"alg": self.edwards.alg, "kid": self.edwards.kid, "typ": "JWT"}, claims)
        key = RSAKey.generate_key(2048, {"kid": "satu"}) if self.forged == "other_key" else self.key
        return jwt.encode({"alg": "RS256", "kid": "satu"}, claims, key)


def _handler(provider: OpenIdProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """The provider's doors."""

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/.well-known/openid-configuration":
                self._json(200, provider.discovery())
            elif parts.path == "/jwks":
                self._json(200, {"keys": [*provider.others, provider.key.as_dict(private=False)]})
            elif parts.path == "/authorize":
                self.send_response(302)
                self.send_header("location", provider.authorize(dict(parse_qsl(parts.query))))
                self.send_header("content-length", "0")
                self.end_headers()
            else:
                self._json(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._json(*provider.token(form, self.headers.get("authorization", "")))

        def _json(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is written."""

    return Handler
