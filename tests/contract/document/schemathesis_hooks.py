"""What schemathesis sends otherwise than it would by itself."""

from __future__ import annotations

import itertools
import re
from typing import Any

import schemathesis

from app.api.layer.idempotency import KEY_PATTERN

_numbers = itertools.count(1)


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """A key stands for one of the caller's own: two requests with one Idempotency-Key would be one request."""
    del context, kwargs
    if case.headers and re.match(KEY_PATTERN, str(case.headers.get("Idempotency-Key", ""))):
        case.headers["Idempotency-Key"] = f"key-{next(_numbers)}"


schemathesis.serializer.alias("application/partial-upload", "application/octet-stream")
