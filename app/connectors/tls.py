"""TLS of connections to sources: made of what is passed here. The system's authorities are all that is read from outside.

`ssl.create_default_context` also reads where to write the session's keys (SSLKEYLOGFILE) from the environment, drivers where client
certificates stand; a source of one agency must not be met with what the operator has for something else.
"""

from __future__ import annotations

import ssl
from functools import cache


@cache
def verified() -> ssl.SSLContext:
    """Certificate and name are verified against the system's authorities. Shared; not to be changed."""
    return made(ssl.SSLContext)


@cache
def unverified() -> ssl.SSLContext:
    """Encrypted, but to whomever answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def made(kind: type[ssl.SSLContext]) -> ssl.SSLContext:
    """A new verifying context of this kind."""
    context = kind(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    return context
