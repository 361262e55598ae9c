"""What services write into an answer of status 200 beside the records, and records whose columns stand in a member of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.errors import SimpulError, SourceAuthFailed, SourceFailed, SourcePermissionDenied, SourceRejected

_AUTH = frozenset({401, 498, 499})
_DENIED = 403
_REFUSALS = range(400, 600)
_OWN_FAULTS = 500


def refuse_errors(document: Any) -> None:
    """`errors` beside the data (GraphQL says faults like that), or an `error` with a code in the place of it (ArcGIS).

    Raises the leaf that the code stands for; what the service wrote is not quoted.
    """
    if not isinstance(document, dict):
        return
    if isinstance(document.get("errors"), list) and document["errors"]:
        raise SourceFailed(f"the service tells {len(document['errors'])} errors beside its data", field="/source/url")
    error = document.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    if type(code) is int and code in _REFUSALS:
        raise _leaf(code)(f"the service answered with the error {code} in its document", field="/source/url")


def _leaf(code: int) -> type[SimpulError]:
    if code in _AUTH:  # 498 and 499: an invalid token, a token that is missing
        return SourceAuthFailed
    if code == _DENIED:
        return SourcePermissionDenied
    return SourceFailed if code >= _OWN_FAULTS else SourceRejected


def flattened(records: Sequence[Any], parts: Sequence[str]) -> list[Any]:
    """Records with the members of one of their parts as their own, and what else they have beside them.

    A column of the name of such a member keeps it: then the record's own member is called `feature_…`, in every record of the page.
    """
    inside = [next((part for part in parts if isinstance(_member(record, part), dict)), None) for record in records]
    columns = {name for record, part in zip(records, inside, strict=True) if part is not None for name in record[part]}
    found: list[Any] = []
    for record, part in zip(records, inside, strict=True):
        if part is None:
            found.append(record)
            continue
        own = {f"feature_{name}" if name in columns else name: value for name, value in record.items() if name != part}
        found.append({**record[part], **own})
    return found


def _member(record: Any, name: str) -> Any:
    return record.get(name) if isinstance(record, Mapping) else None
