"""What the JSON Schema of manifests finds wrong with one, in the words of the API: a PUT takes nothing that the schema refuses.

The models tell more of most faults (`manifest.py`), and the steps of theirs (`mapping/`); the schema finds what these would convert.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, Final

from jsonschema_rs import Draft202012Validator, ValidationError

from app.datasets.manifest_schema import manifest_schema
from app.errors import FieldError, ManifestInvalid

_CODES: Final = {
    "required": "missing",
    "additionalProperties": "unknown",
    "enum": "choice",
    "const": "choice",
    "pattern": "pattern",
    "minLength": "length",
    "maxLength": "length",
    "minItems": "count",
    "maxItems": "count",
    "minProperties": "count",
    "maxProperties": "count",
    "minimum": "range",
    "maximum": "range",
    "exclusiveMinimum": "range",
    "exclusiveMaximum": "range",
    "oneOf": "value",
    "anyOf": "value",
}
_SHOWN_CHARACTERS: Final = 300


def require_structure(document: Mapping[str, Any], found: ManifestInvalid | None = None) -> None:
    """Raises `ManifestInvalid` when the schema refuses the document, or when something was found wrong with it before.

    A fault that the schema has at a position which was told already, above or below it, is not told twice.
    """
    told = [] if found is None else list(found.errors)
    faults = [fault for fault in structure_faults(document) if not _covered(fault.pointer, told)]
    if found is not None:
        raise type(found)(found.detail, errors=[*told, *faults]) if faults else found
    if faults:
        raise ManifestInvalid(
            f"the manifest has {len(faults)} faults" if len(faults) > 1 else faults[0].detail, errors=faults
        )


def structure_faults(document: Mapping[str, Any]) -> list[FieldError]:
    """Every fault, with the JSON pointer of its position. Of a value that may have several forms those of the form it comes nearest to."""
    found: dict[tuple[str, str], FieldError] = {}
    for error in _validator().iter_errors(as_json(document)):
        for leaf in _leaves(error):
            for fault in _faults(leaf):
                found.setdefault((fault.pointer, fault.code), fault)
    return list(found.values())


def as_json(value: Any) -> Any:
    """The document as JSON has it: keys are texts, also those that YAML reads as numbers and truth values."""
    if isinstance(value, Mapping):
        return {_key(key): as_json(item) for key, item in value.items()}
    if isinstance(value, Decimal):
        return float(value)
    return [as_json(item) for item in value] if isinstance(value, list | tuple) else value


def _key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key)


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(json.dumps(manifest_schema())))


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """The faults behind one of "none of these forms fits": those of the form that the value was meant to have."""
    forms: Sequence[Sequence[ValidationError]] = getattr(error.kind, "context", None) or ()
    where = list(error.instance_path)
    meant = [form for form in forms if form and not any(_of_another_form(fault, where) for fault in form)]
    if len(meant) != 1:
        yield error
        return
    for fault in meant[0]:
        yield from _leaves(fault)


def _of_another_form(fault: ValidationError, where: list[str | int]) -> bool:
    """The value itself is of another type, or its kind is another one."""
    at = list(fault.instance_path)
    return (at == where and fault.kind.name in {"type", "const", "enum"}) or (
        at == [*where, "kind"] and fault.kind.name == "const"
    )


def _faults(error: ValidationError) -> Iterator[FieldError]:
    where = "".join(f"/{_escaped(str(step))}" for step in error.instance_path)
    name = error.kind.name
    code = _CODES.get(name, "type")
    types = _types(error)
    if types:
        yield FieldError(where, "type", f"must be of type {' or '.join(types)} (GET /v1/manifest-schema)")
        return
    if name == "required":
        member = str(_said(error)["property"])
        yield FieldError(f"{where}/{_escaped(member)}", code, f"{member} is needed here")
    elif name == "additionalProperties":
        for member in _said(error)["unexpected"]:
            yield FieldError(f"{where}/{_escaped(member)}", code, f"unknown key {member[:64]}")
    else:
        yield FieldError(where, code, f"{_told(name, error)} (GET /v1/manifest-schema)")


def _types(error: ValidationError) -> list[str]:
    """The types that may stand at the position of a fault, where the type alone is what is wrong."""
    if error.kind.name == "type":
        return list(_said(error)["types"])
    where, forms = error.instance_path, getattr(error.kind, "context", None) or ()
    found = [_types(fault) if fault.instance_path == where else [] for form in forms for fault in form]
    return sorted({name for types in found for name in types}) if found and all(found) else []


def _said(error: ValidationError) -> dict[str, Any]:
    """What the validator says of the fault beside its name."""
    found: dict[str, Any] = error.kind.as_dict()
    return found


def _told(name: str, error: ValidationError) -> str:
    if name == "oneOf":
        return "fits none of the forms that may stand here, or more than one of them"
    if name == "anyOf":
        return "fits none of the forms that may stand here"
    bound = {key: value for key, value in _said(error).items() if key not in {"value", "context"}}
    return f"does not keep {name}: {json.dumps(bound, ensure_ascii=False, default=str)[:_SHOWN_CHARACTERS]}"


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def _covered(pointer: str, told: Iterable[FieldError]) -> bool:
    return any(
        pointer == fault.pointer or pointer.startswith(f"{fault.pointer}/") or fault.pointer.startswith(f"{pointer}/")
        for fault in told
    )
