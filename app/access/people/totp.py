"""The second factor: time-based codes (RFC 6238, six digits, 30 seconds, SHA-1 as authenticators know it), and recovery codes.

A code counts one step before and after the present one, for clocks that differ. Whether its step was used before is asked of
the store (`accounts.py`): nothing here remembers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

import pyotp

from app.access.sealing import Seal, Sealed

STEP_SECONDS: Final = 30
RECOVERY_CODES: Final = 10
RECOVERY_CHARACTERS: Final = 19
_RECOVERY_BYTES: Final = 10
_SPREAD: Final = (0, -1, 1)
_CODE: Final = re.compile(r"[0-9]{6}")


def new_secret() -> str:
    """160 random bits, in base32."""
    return pyotp.random_base32()


def uri_of(secret: str, login: str, issuer: str) -> str:
    """The address that an authenticator reads (`otpauth://totp/…`)."""
    return str(pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=issuer))


def counter_of(secret: str, code: str, now: float) -> int | None:
    """The step whose code this is, near `now` (seconds since 1970); None for any other text."""
    if _CODE.fullmatch(code) is None:
        return None
    maker, present = pyotp.TOTP(secret), int(now) // STEP_SECONDS
    found = [step for step in (present + by for by in _SPREAD) if hmac.compare_digest(maker.generate_otp(step), code)]
    return max(found) if found else None


def sealed_secret(seal: Seal, secret: str, person: str, use: str) -> dict[str, str]:
    """A secret as it is stored: sealed for this person and use."""
    made = seal.seal(secret.encode(), "person", person, use)
    text = {"sealed": made.sealed, "nonce": made.nonce}
    return {name: base64.b64encode(value).decode() for name, value in text.items()} | {"key_id": made.key_id}


def opened_secret(seal: Seal, stored: Mapping[str, Any], person: str, use: str) -> str:
    """The secret that `sealed_secret` stored; raises `SettingsInvalid` where its key is missing."""
    sealed = Sealed(base64.b64decode(stored["sealed"]), base64.b64decode(stored["nonce"]), stored["key_id"])
    return seal.open(sealed, "person", person, use).decode()


def new_recovery_codes() -> list[str]:
    """Ten codes of 80 random bits, written `abcd-efgh-ijkl-mnop`."""
    made = [base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)]
    return ["-".join(code[start : start + 4] for start in range(0, len(code), 4)) for code in made]


def recovery_digest(code: str) -> str:
    """What of a recovery code is stored. Hyphens, spaces and case do not count; the code is random, so a plain hash will do."""
    plain = re.sub(r"[\s-]", "", code).lower()
    return hashlib.sha256(b"simpul-recovery/1\x00" + plain.encode(errors="surrogatepass")).hexdigest()
