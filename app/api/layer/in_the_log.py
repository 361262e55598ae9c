"""What of a request and of its fault stands in the log's details: words of the contract, never what a caller typed into an address."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_plus

from app.errors import RequestError, SimpulError

_NAME = re.compile(r"(?=[A-Za-z_])(?!.*[0-9]{6})[A-Za-z0-9_.-]{1,64}")
_POINTER = re.compile(r"(/[0-9]{1,5}|/(?!.*[0-9]{6})[A-Za-z_][A-Za-z0-9_.-]{0,63})*")
_MOST_NAMES = 50
_MOST_FAULTS = 20


def request_structure(method: str, template: str, query: str) -> str:
    """Method, the route's template and the names of the parameters: `GET /v1/records/{schema}?jenis&limit`.

    A name that is none (it may be an identifier of a person) is `?`.
    """
    if not query:
        return f"{method} {template}"
    names = [unquote_plus(part.partition("=")[0]) for part in query.split("&", _MOST_NAMES)[:_MOST_NAMES] if part]
    shown = dict.fromkeys(name if _NAME.fullmatch(name) else "?" for name in names)
    return f"{method} {template}" + (f"?{'&'.join(shown)}" if shown else "")


def fault_told(error: SimpulError) -> dict[str, Any]:
    """The fault for the detail. The text of a fault in the request repeats what was typed: its code and pointers stand there alone."""
    if not isinstance(error, RequestError):
        return {"error": f"{error.code}: {error.detail}"}
    faults = [
        {"pointer": fault.pointer if _POINTER.fullmatch(fault.pointer) else "?", "code": fault.code}
        for fault in error.errors[:_MOST_FAULTS]
    ]
    return {"error": error.code, **({"errors": faults} if faults else {})}
