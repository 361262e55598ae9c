"""Hashing and checking of client secrets: argon2id in a small pool of threads, never on the event loop.

19 MiB, 2 passes, 1 lane (OWASP Password Storage Cheat Sheet): about 20-25 ms. Secrets are 256 random bits that the
gateway made itself, so the cost guards a stolen table, not weak choices.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, Protocol

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import ServerOverloaded

THREADS: Final = 2
WAITING: Final = 64
"""Checks that may wait for a thread; about 1 s of work. More get `ServerOverloaded`."""
REMEMBERED_SECONDS: Final = 60.0
REMEMBERED_SECRETS: Final = 10_000
WAITING_OF_ONE: Final = 8
"""Checks of one address that may wait: nobody fills the queue alone."""
SECRET_CHARACTERS: Final = 200

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_POOL: Final = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="argon2")
_NOBODY: Final = _HASHER.hash(secrets.token_urlsafe(32))
"""A hash that no secret matches: unknown clients cost what known ones do."""


class Holder(Protocol):
    """What is needed of a client to check its secret."""

    @property
    def credential(self) -> str:
        """Thumbprint of the present secret."""

    @property
    def secret_hash(self) -> str:
        """Its argon2id hash."""


async def hash_secret(secret: str) -> str:
    """The argon2id hash of a new secret, with an own random salt."""
    return await asyncio.get_running_loop().run_in_executor(_POOL, _HASHER.hash, secret)


class SecretVerifier:
    """Checks secrets; remembers a right one for a minute: a client that asks a token per call costs microseconds.

    The memory holds HMAC-SHA-256 digests under a key of this process alone, tied to the credential's thumbprint: it
    holds no secret, guessing 256 random bits from a digest is hopeless, and a rotated secret misses. A wrong secret is
    remembered as wrong in the same way: an application that sends it again and again costs microseconds too.
    """

    def __init__(self, *, waiting: int = WAITING, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_waiting = waiting
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._right_until: OrderedDict[bytes, float] = OrderedDict()
        self._wrong_until: OrderedDict[bytes, float] = OrderedDict()
        self._waiting = 0
        self._waiting_of: Counter[str] = Counter()

    def remembers(self, holder: Holder | None, secret: str) -> bool:
        """Whether this is a secret that was right a moment ago: asking costs nothing."""
        if holder is None or not holder.secret_hash or len(secret) > SECRET_CHARACTERS:
            return False
        return self._right_until.get(self._digest(holder.credential, secret), 0.0) > self._clock()

    async def verify(self, holder: Holder | None, secret: str, address: str = "", claimed: str = "") -> bool:
        """Whether `secret` is the holder's; for None (unknown, disabled, without a secret) always False, after the same work.

        `claimed`: the client id that was sent, so that a wrong secret is remembered for it alone, whether it exists or not.
        """
        if holder is not None and not holder.secret_hash:
            holder = None
        if len(secret) > SECRET_CHARACTERS:
            return False
        digest = self._digest(holder.credential if holder else f"\x01{claimed}", secret)
        if holder and self._right_until.get(digest, 0.0) > self._clock():
            return True
        if self._wrong_until.get(digest, 0.0) > self._clock():
            return False
        if not await self.matches(holder.secret_hash if holder else None, secret, address):
            self._remember(self._wrong_until, digest)
            return False
        if holder is None:
            return False
        self._remember(self._right_until, digest)
        return True

    async def matches(self, secret_hash: str | None, secret: str, address: str = "") -> bool:
        """Whether the hash is this secret's, with nothing remembered (passwords are no random bits). None: the same work, False."""
        if self._waiting >= self._most_waiting or self._waiting_of[address] >= min(WAITING_OF_ONE, self._most_waiting):
            raise ServerOverloaded("Too many clients ask for tokens at once; try again.", retry_after_seconds=1)
        self._waiting += 1
        self._waiting_of[address] += 1
        try:
            check = partial(_matches, secret_hash or _NOBODY, secret)
            return await asyncio.get_running_loop().run_in_executor(_POOL, check)
        finally:
            self._waiting -= 1
            self._waiting_of[address] -= 1
            if not self._waiting_of[address]:
                del self._waiting_of[address]

    def _remember(self, kept: OrderedDict[bytes, float], digest: bytes) -> None:
        kept[digest] = self._clock() + REMEMBERED_SECONDS
        if len(kept) > REMEMBERED_SECRETS:
            kept.popitem(last=False)

    def _digest(self, credential: str, secret: str) -> bytes:
        message = credential.encode() + b"\x00" + secret.encode(errors="surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).digest()


def _matches(secret_hash: str, secret: str) -> bool:
    try:
        return _HASHER.verify(secret_hash, secret)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False
