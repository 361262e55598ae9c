"""From the `fields:` of a manifest to closures: one compiled field a schema field, every fault of the manifest with its pointer."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.connectors.cells import ErrorCell
from app.connectors.json_paths import JsonPath
from app.datasets.mapping.expression import compile_expression
from app.datasets.mapping.fit import fitting
from app.datasets.mapping.paths import is_path
from app.datasets.mapping.rules import Nulled, StepReject
from app.datasets.mapping.steps import STEPS
from app.datasets.mapping.steps.chain import check_chain
from app.datasets.mapping.steps.contract import Row, Step, StepContext
from app.schemas.base import FieldSpec
from app.schemas.numbers import exact_decimal

Value = Callable[[Row], Any]
Chain = tuple[tuple[str, Any], ...]
"""Steps with their options, in order."""
_BESIDE = frozenset({"from", "else", "months", "if"})
_SOURCES = ("from", "const", "expr", "when")


@dataclass(frozen=True, slots=True)
class CompiledField:
    """One field: how its value is made from a raw row, whether a reject nulls it, the raw column when it is a plain rename.

    `columns`: the raw columns that it is made of.
    """

    name: str
    value: Value
    nulls: bool
    rename: str | None
    columns: frozenset[str] = frozenset()
    chain: Chain | None = None
    """The steps that make the value out of the one raw column in `columns`; None where it is made in another way."""
    missing: frozenset[str] = frozenset()
    """Texts of that column that mean "no value"."""


def compile_field(name: str, given: Any, spec: FieldSpec, context: StepContext) -> CompiledField:
    """The compiled mapping of one schema field; raises `MappingInvalid` or `ExpressionForbidden`."""
    if isinstance(given, str):
        whole = None if is_path(given) or context.missing else given
        value = _fitted(_one(given, context), spec)
        chain: Chain | None = None if is_path(given) else ()
        return CompiledField(name, value, False, whole, frozenset({_first(given)}), chain, context.missing)  # noqa: FBT003
    if not isinstance(given, Mapping):
        context.refuse("a field is the name of a raw column, or a mapping with from and steps")
    value = _branch(given, context, spec)
    nulls = _otherwise(given, context) == "null"
    plain = given.get("from") if set(given) == {"from"} and isinstance(given.get("from"), str) else None
    plain = None if context.missing or (plain is not None and is_path(plain)) else plain
    return CompiledField(
        name, _fitted(value, spec), nulls, plain, frozenset(context.columns), _chain(given), context.missing
    )


def _chain(given: Mapping[str, Any]) -> Chain | None:
    """The steps of a mapping that takes one raw column through them and looks at nothing else."""
    column = given.get("from")
    if not isinstance(column, str) or is_path(column):
        return None
    return tuple((name, options) for name, options in given.items() if name not in _BESIDE)


def _branch(given: Mapping[str, Any], context: StepContext, spec: FieldSpec | None) -> Value:
    """The value of a mapping with `from`, `const`, `expr` or `when`, and its steps in the order written."""
    named = [source for source in _SOURCES if source in given]
    if len(named) != 1:
        context.refuse(f"write exactly one of {', '.join(_SOURCES)}")
    source = named[0]
    context = replace(context, months=_months(given, context), spec=spec)
    if source == "when":
        value = _when(given["when"], context.at("when"), spec)
    elif source == "const":
        constant = exact_decimal(repr(given["const"])) if isinstance(given["const"], float) else given["const"]
        value = _constant(constant)
    elif source == "expr":
        expression = compile_expression(given["expr"], f"{context.pointer}/expr")
        context.columns.update(expression.columns)
        value = expression.value
    else:
        value = _from(given["from"], context.at("from"))
    names = [key for key in given if key not in _BESIDE and key != source]
    steps = [_step(key, given[key], context) for key in names]
    if source != "when" or names:
        check_chain(source, given[source], [(key, given[key]) for key in names], context)
    return _stepped(value, steps)


def _months(given: Mapping[str, Any], context: StepContext) -> str:
    months = given.get("months", context.months)
    if months not in ("id", "en"):
        context.at("months").refuse("months is id or en")
    return str(months)


def _otherwise(given: Mapping[str, Any], context: StepContext) -> str:
    chosen = given.get("else", "reject")
    if chosen not in ("reject", "null", None):
        context.at("else").refuse('else is reject (the default) or "null"')
    return "null" if chosen in ("null", None) else "reject"


def _step(name: str, options: Any, context: StepContext) -> Step:
    here = context.at(name)
    builder = _each if name == "each" else STEPS.get(name)
    if builder is None:
        near = difflib.get_close_matches(name, [*STEPS, "each"], n=1)
        here.refuse(
            f"unknown step {name}; " + (f"did you mean {near[0]}?" if near else f"steps: {', '.join(STEPS)}, each")
        )
    try:
        return builder(options, here)
    except (TypeError, AttributeError):  # what a manifest gives may be anything: a list where a word is wanted
        here.refuse(f"an option has the wrong form: {str(options)[:80]}")


def _stepped(value: Value, steps: list[Step]) -> Value:
    if not steps:
        return value

    def stepped(row: Row) -> Any:
        found = value(row)
        for step in steps:
            if found is None:
                return None
            found = step(found, row)
        return found

    return stepped


def _constant(constant: Any) -> Value:
    return lambda _: constant


def _when(given: Any, context: StepContext, spec: FieldSpec | None) -> Value:
    """The first branch whose condition is true; a last branch without `if` always is. No branch: the record is rejected."""
    if not isinstance(given, list) or not given:
        context.refuse("when is a list of branches with if and a value")
    branches: list[tuple[Value | None, Value, bool]] = []
    for index, branch in enumerate(given):
        here = context.at(str(index))
        if not isinstance(branch, Mapping):
            here.refuse("a branch is a mapping with if and from, const or expr")
        condition = None
        if "if" in branch:
            expression = compile_expression(branch["if"], f"{here.pointer}/if")
            context.columns.update(expression.columns)
            condition = expression.value
        elif index != len(given) - 1:
            here.refuse("only the last branch may stand without if")
        branches.append((condition, _branch(branch, here, spec), _otherwise(branch, here) == "null"))

    def value(row: Row) -> Any:
        for condition, result, nulls in branches:
            if condition is None or condition(row) is True:
                try:
                    return result(row)
                except StepReject as reject:
                    if nulls:
                        raise Nulled(reject.rule) from None
                    raise
        raise StepReject("no_branch")

    return value


def _from(given: Any, context: StepContext) -> Value:
    """A raw column, a nested path (`$.location.latitude`), or a list of them for `join`."""
    if isinstance(given, list) and given and all(isinstance(name, str) for name in given):
        readers = [_one(name, context) for name in given]
        return lambda row: [reader(row) for reader in readers]
    if not isinstance(given, str) or not given:
        context.refuse("from is a raw column, a path such as $.location.latitude, or a list of them")
    return _one(given, context)


def _one(name: str, context: StepContext) -> Value:
    """One column or path; the raw column that it begins with is noted."""
    if is_path(name):
        try:
            JsonPath.in_record(name)
        except ValueError as fault:
            context.refuse(str(fault))
    context.columns.add(_first(name))
    return _reader(name, context.missing)


def _first(name: str) -> str:
    """The raw column that a name or path begins with."""
    return str(JsonPath.in_record(name).steps[0]) if is_path(name) else name


def _reader(name: str, missing: frozenset[str]) -> Value:
    """Reads a column; blank text is null (an empty cell says nothing), and so is a text that the manifest says means no value."""
    read = _path_reader(name) if is_path(name) else _column_reader(name)
    if not missing:
        return read

    def unmarked(row: Row) -> Any:
        found = read(row)
        return None if isinstance(found, str) and found.strip() in missing else found

    return unmarked


def _column_reader(name: str) -> Value:
    return lambda row: _said(row.get(name))


def _path_reader(name: str) -> Value:
    steps = JsonPath.in_record(name).steps

    def path(row: Row) -> Any:
        found: Any = row
        for step in steps:
            if isinstance(step, int):
                if not isinstance(found, list):
                    raise StepReject("not_a_list")
                found = found[step] if step < len(found) else None
            else:
                if not isinstance(found, Mapping):
                    raise StepReject("cell_error" if isinstance(found, ErrorCell) else "not_an_object")
                found = found.get(step)
            if found is None:
                return None
        return _said(found)

    return path


def _said(found: Any) -> Any:
    """A raw value; blank text is null, an error of a sheet a reject."""
    if isinstance(found, str):
        return found if found and not found.isspace() else None
    if isinstance(found, ErrorCell):
        raise StepReject("cell_error")
    return found


def _each(given: Any, context: StepContext) -> Step:
    """`each: {fields: {…}}` maps every object of a list; `each: {text: squeeze}` takes every item through steps."""
    if not isinstance(given, Mapping) or not given:
        context.refuse("each takes fields (for a list of objects) or steps (for a list of values)")
    item = context.spec.item if context.spec is not None else None
    if "fields" in given:
        return _each_object(given["fields"], context.at("fields"), item)
    inside = replace(context, spec=item)
    steps = [_step(name, options, inside) for name, options in given.items()]
    check_chain("each", None, list(given.items()), inside)

    def values(value: Any, row: Row) -> Any:
        if not isinstance(value, list):
            raise StepReject("not_a_list")
        found = []
        for part in value:
            result = part
            for step in steps:
                result = None if result is None else step(result, row)
            if result is not None:
                found.append(result)
        return found

    return values


def _each_object(fields: Any, context: StepContext, item: FieldSpec | None) -> Step:
    if not isinstance(fields, Mapping) or item is None:
        context.refuse("fields maps the members of a list of objects; this field is no such list")
    unknown = [name for name in fields if name not in item.parts]
    if unknown:
        context.refuse(f"no member {unknown[0]}; members: {', '.join(item.parts)}")
    inner = replace(context, spec=None, columns=set())
    compiled = [compile_field(name, given, item.parts[name], inner.at(name)) for name, given in fields.items()]

    def objects(value: Any, _: Row) -> Any:
        if not isinstance(value, list):
            raise StepReject("not_a_list")
        found = []
        for part in value:
            if not isinstance(part, Mapping):
                raise StepReject("not_an_object")
            found.append({field.name: _nested(field, part) for field in compiled})
        return found

    return objects


def _nested(field: CompiledField, row: Row) -> Any:
    try:
        return field.value(row)
    except StepReject as reject:
        if field.nulls or isinstance(reject, Nulled):
            return None
        raise


def _fitted(value: Value, spec: FieldSpec) -> Value:
    """The value in the type that the schema's field takes; a number never becomes text by itself."""
    fit = fitting(spec)

    def fitted(row: Row) -> Any:
        found = value(row)
        return None if found is None else fit(found)

    return fitted
