"""Where credentials stand in a manifest: as a reference (`${secret:NAME}`, `${env:NAME}`), never written out."""

from __future__ import annotations

import re

_REFERENCE = re.compile(r"(?:[A-Za-z]{1,20} )?\$\{(?:secret|env):[^{}]{1,200}\}")
_NAMES = re.compile(
    r"(?:^|_)(?:authorization|proxy_authorization|cookie|x_?api_?key|api_?key|apikey|access_?key|secret|client_?secret|token|access_?token"
    r"|auth_?token|password|passwd|pwd|sandi|signature|sig)(?:$|_)"
)


def is_reference(text: str) -> bool:
    """Whether a text is one reference, with a scheme's word before it at most (`Bearer ${secret:TOKEN}`)."""
    return _REFERENCE.fullmatch(text) is not None


def credential_name(name: str) -> bool:
    """Whether a header or parameter of this name holds a credential."""
    return _NAMES.search(re.sub(r"[^a-z0-9]+", "_", name.lower())) is not None
