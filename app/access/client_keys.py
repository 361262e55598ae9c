"""Public keys of clients (RFC 7517): read and checked when they are registered, kept with the client, never private ones.

P-256, Ed25519 and RSA of 2048 to 4096 bits: what FAPI 2.0 (section 5.4) allows. A private part is refused by name.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.api_jws import PyJWS
from jwt.utils import base64url_decode

from app.errors import FieldError, ValidationFailed

PublicKey = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey

ALGORITHMS: Final = ("ES256", "PS256", "EdDSA", "Ed25519")
"""Signatures of clients: those of FAPI 2.0, EdDSA also by its fully specified name of RFC 9864."""
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEYS_A_CLIENT: Final = 10
KID_CHARACTERS: Final = 128
LEAST_RSA_BITS: Final = 2048
MOST_RSA_BITS: Final = 4096
_MEMBERS: Final = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
"""Those that RFC 7638 and RFC 8037 hash, in their order."""
_CURVES: Final = {"EC": "P-256", "OKP": "Ed25519"}
_FITTING: Final = {"EC": ("ES256",), "OKP": ("EdDSA", "Ed25519"), "RSA": ("PS256",)}
"""A key has one way to sign. Two names of it stand for each other, whichever its JWK says (RFC 9864)."""
_PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_NUMBER_CHARACTERS: Final = 700

SIGNATURES: Final = PyJWS(algorithms=["ES256", "PS256", "EdDSA"])
"""Checks the signatures of clients; a name that is not in `ALGORITHMS` is unknown to it."""
SIGNATURES.register_algorithm("Ed25519", OKPAlgorithm())


@dataclass(frozen=True, slots=True)
class ClientKey:
    """One public key. `thumbprint` (RFC 7638) names it in tokens and entries; `algorithms` are those it may sign by."""

    kid: str
    thumbprint: str
    algorithms: tuple[str, ...]
    jwk: Mapping[str, str]
    public: PublicKey = field(repr=False, compare=False)


def read_key(given: Mapping[str, Any], pointer: str) -> ClientKey:
    """One key that stands at this pointer; raises as `read_keys` does."""
    try:
        return read_keys([given], "")[0]
    except ValidationFailed as error:
        faults = [FieldError(pointer + one.pointer.removeprefix("/0"), one.code, one.detail) for one in error.errors]
        raise ValidationFailed(error.detail, errors=faults) from None


def read_keys(given: Sequence[Mapping[str, Any]], pointer: str = "/keys") -> tuple[ClientKey, ...]:
    """Keys as a client registers them; raises `ValidationFailed` with a pointer to each fault, never with a value."""
    faults: list[FieldError] = []
    found: list[ClientKey] = []
    if len(given) > KEYS_A_CLIENT:
        faults.append(FieldError(pointer, "count", f"a client has at most {KEYS_A_CLIENT} keys"))
    for number, jwk in enumerate(given[:KEYS_A_CLIENT]):
        here = f"{pointer}/{number}"
        told = _faults_of(jwk, here)
        if told:
            faults.extend(told)
            continue
        try:
            key = load_key(jwk)
        except ValueError as error:
            faults.append(FieldError(here, "value", str(error)))
            continue
        if any(one.kid == key.kid or one.thumbprint == key.thumbprint for one in found):
            faults.append(FieldError(here, "value", "this key, or its kid, stands there twice"))
        found.append(key)
    if faults:
        raise ValidationFailed("The keys are not public keys that a client may have.", errors=faults)
    return tuple(found)


def is_signed(text: str, alg: str, key: ClientKey) -> bool:
    """Whether this compact JWS is signed by the key. Header and claims are the caller's to read, and `alg` is of its header."""
    signed, _, signature = text.rpartition(".")
    try:
        raw = base64url_decode(signature)
    except ValueError:
        return False
    return bool(SIGNATURES.get_algorithm_by_name(alg).verify(signed.encode(), key.public, raw))


def load_key(jwk: Mapping[str, Any]) -> ClientKey:
    """The key of a JWK whose members were checked; raises `ValueError` when they are no key of an allowed kind."""
    kind = str(jwk["kty"])
    public = _public(kind, jwk)
    thumbprint = thumbprint_of(jwk)
    kept = {name: str(jwk[name]) for name in (*_MEMBERS[kind], "alg") if jwk.get(name)}
    return ClientKey(str(jwk.get("kid") or thumbprint), thumbprint, _FITTING[kind], kept, public)


def thumbprint_of(jwk: Mapping[str, Any]) -> str:
    """RFC 7638, SHA-256, base64url."""
    members = {name: str(jwk[name]) for name in _MEMBERS[str(jwk["kty"])]}
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _faults_of(jwk: Mapping[str, Any], here: str) -> list[FieldError]:
    """What is wrong with the members, before any of them is looked at as a number."""
    private = [name for name in _PRIVATE if name in jwk]
    if private:
        why = "this is a private or secret key: it is known to others now, so make a new pair and send the public key alone"
        return [FieldError(f"{here}/{name}", "private_key", why) for name in private]
    kind = jwk.get("kty")
    if kind not in _MEMBERS:
        return [FieldError(f"{here}/kty", "choice", "EC (P-256), OKP (Ed25519) or RSA (2048 to 4096 bits)")]
    faults = []
    if kind in _CURVES and jwk.get("crv") != _CURVES[kind]:
        faults.append(FieldError(f"{here}/crv", "choice", f"{_CURVES[kind]} for kty {kind}"))
    for name in _MEMBERS[kind]:
        value = jwk.get(name)
        if name not in {"kty", "crv"} and not (isinstance(value, str) and 0 < len(value) <= _NUMBER_CHARACTERS):
            faults.append(
                FieldError(f"{here}/{name}", "missing", f"a base64url text of at most {_NUMBER_CHARACTERS} characters")
            )
    if jwk.get("alg") not in (None, *_FITTING[kind]):
        faults.append(
            FieldError(f"{here}/alg", "choice", f"{' or '.join(_FITTING[kind])} for kty {kind}; or leave it out")
        )
    if jwk.get("use") not in (None, "sig"):
        faults.append(FieldError(f"{here}/use", "choice", "sig; or leave it out"))
    if jwk.get("key_ops") not in (None, ["verify"]):
        faults.append(FieldError(f"{here}/key_ops", "choice", '["verify"]; or leave it out'))
    kid = jwk.get("kid")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= KID_CHARACTERS and kid.isprintable()):
        faults.append(FieldError(f"{here}/kid", "text", f"1 to {KID_CHARACTERS} printable characters; or leave it out"))
    return faults


def _public(kind: str, jwk: Mapping[str, Any]) -> PublicKey:
    members = {name: str(jwk[name]) for name in _MEMBERS[kind]}
    readers: dict[str, Any] = {"EC": ECAlgorithm, "OKP": OKPAlgorithm, "RSA": RSAAlgorithm}
    try:
        public = readers[kind].from_jwk(members)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise ValueError("its numbers are no public key of this kind") from None
    if isinstance(public, RSAPublicKey) and not LEAST_RSA_BITS <= public.key_size <= MOST_RSA_BITS:
        raise ValueError(f"an RSA key has {LEAST_RSA_BITS} to {MOST_RSA_BITS} bits, this one has {public.key_size}")
    if not isinstance(public, EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey):
        raise ValueError("it is no public key")
    return public
