"""TLS of connections that the gateway opens: made of what is passed here, nothing of it read from the process environment.

`ssl.create_default_context` also reads where to write the session's keys (SSLKEYLOGFILE) and which authorities to trust (SSL_CERT_FILE,
SSL_CERT_DIR) from the environment, drivers where client certificates stand; a source of one agency must not be met with what the
operator has for something else. Authorities are those of one file, or the system's, where the library was built to look for them.
"""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

from app.errors import SettingsInvalid

_BUILT_IN = ssl.get_default_verify_paths()
_FILE, _FOLDER = Path(_BUILT_IN.openssl_cafile), Path(_BUILT_IN.openssl_capath)


@cache
def verified(ca_file: Path | None = None) -> ssl.SSLContext:
    """Certificate and name are verified. Shared; not to be changed. SettingsInvalid when `ca_file` has no certificates."""
    return made(ssl.SSLContext, ca_file)


@cache
def unverified() -> ssl.SSLContext:
    """Encrypted, but to whomever answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def made(kind: type[ssl.SSLContext], ca_file: Path | None = None) -> ssl.SSLContext:
    """A new verifying context of this kind. `ca_file`: certificates in PEM, trusted instead of the system's authorities."""
    context = kind(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise SettingsInvalid(f"SIMPUL_CA_FILE {ca_file}: {error}; give a file of certificates in PEM") from None
        return context
    if _FILE.is_file():
        context.load_verify_locations(cafile=_FILE)
    if _FOLDER.is_dir():
        context.load_verify_locations(capath=_FOLDER)
    return context


def authorities(ca_file: Path | None = None) -> bytes:
    """The certificates in PEM that a verifying context trusts, for a library that is given them as a file."""
    if ca_file is not None:
        return ca_file.read_bytes()
    hashed = sorted(_FOLDER.glob("????????.[0-9]*")) if _FOLDER.is_dir() else []
    files = [*([_FILE] if _FILE.is_file() else []), *hashed]
    return b"\n".join(file.read_bytes() for file in files if file.is_file())
