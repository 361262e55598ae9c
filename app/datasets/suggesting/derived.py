"""Fields that no single column holds: what a schema's own rules make of another field, and constants that the source's name tells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.datasets.suggesting.columns import SampleColumn
from app.datasets.suggesting.forms import Around
from app.datasets.suggesting.trying import Proposal
from app.datasets.suggesting.words import plain_words, unit_of
from app.schemas.registry import SchemaDef

_UNITS: Mapping[str, str] = {
    "%": "persen", "persen": "persen", "pct": "persen", "jiwa": "jiwa", "orang": "orang", "unit": "unit", "km2": "km2", "ha": "ha",
    "rp": "rupiah", "rupiah": "rupiah", "indeks": "indeks", "ipm": "indeks", "tahun": "tahun", "ton": "ton", "rumah tangga": "rumah tangga",
}  # fmt: skip
_SHOWN = 60
_OPAQUE = frozenset({"Pengenal", "KodeFaskes", "KodeAsal"})
_LONGEST_IDENTIFIER = 64


def derived(
    schema: SchemaDef, chosen: Mapping[str, Proposal], around: Around, melted: str | None, words: Sequence[str]
) -> Iterator[Proposal]:
    """Proposals for fields that are not chosen yet. `words`: texts that name the source (location, title, table)."""
    if schema.name == "wilayah" and "kode" in chosen:
        yield from _levels(chosen["kode"])
    if melted is not None:
        column = next((column for column in around.columns if column.name == melted), None)
        if column is not None:
            yield from _indicators(schema, column)
    if schema.name == "wilayah_padanan":
        yield from _crosswalked(around)
    for name, spec in schema.fields.items():
        if name in chosen or spec.enum is None:
            continue
        said = [text for text in words if (value := _enum_said(text, spec.enum)) is not None]
        if said:
            value = _enum_said(said[0], spec.enum)
            yield Proposal(
                name, "", {"const": value}, 0.5, 0, 0, (f"{said[0][:_SHOWN]!r} names it; every record gets it",)
            )
    for name, spec in schema.fields.items():
        if name not in chosen and spec.semantic in {"KodeWilayah", "KodeWilayahAtauAsal"}:
            yield from _region_said(name, around, words)
        if name not in chosen and spec.semantic == "Tahun":
            yield from _year_said(name, words)
        if chosen and name not in chosen and name in schema.meta.key and spec.semantic in _OPAQUE:
            yield from _different(name, chosen, around)


def _levels(code: Proposal) -> Iterator[Proposal]:
    """Level and parent of a region out of its dotted code (Permendagri: 2, 5, 8 and 13 characters; a fourth part with 1 is a kelurahan)."""
    if not isinstance(code.mapping, str):
        return
    column = code.mapping if re.fullmatch(r"[A-Za-z_]\w*", code.mapping) else '"' + code.mapping + '"'
    levels = [(2, "provinsi"), (5, "kabupaten"), (8, "kecamatan")]
    tingkat = [{"if": f"length({column}) = {size}", "const": name} for size, name in levels]
    tingkat += [{"if": f"substr({column}, 10, 1) = '1'", "const": "kelurahan"}, {"const": "desa"}]
    ends = [(5, 2), (8, 5), (13, 8)]
    induk: list[dict[str, Any]] = [
        {"if": f"length({column}) = {size}", "from": code.mapping, "slice": [1, end]} for size, end in ends
    ]
    why = ("follows from the length of the code",)
    yield Proposal("tingkat", code.column, {"when": tingkat}, 0.8, 0, 0, why)
    yield Proposal("kode_induk", code.column, {"when": [*induk, {"expr": "null"}]}, 0.8, 0, 0, why)


def _indicators(schema: SchemaDef, column: SampleColumn) -> Iterator[Proposal]:
    """Codes and units of indicators that were columns; a code is the header in lower snake_case."""
    headers = [str(value) for value in column.distinct]
    if "kode_indikator" in schema.fields and column.name == "indikator":
        codes = {header: "_".join(plain_words(header)) or "indikator" for header in headers}
        yield Proposal(
            "kode_indikator", column.name, {"from": column.name, "codes": codes}, 0.9, len(headers), len(headers),
            ("the headers as codes; name them as the walidata does",),
        )  # fmt: skip
    if "satuan" in schema.fields:
        units = (
            {}
            if column.name != "indikator"
            else {header: unit for header in headers if (unit := _unit(header)) is not None}
        )
        if units:
            form: dict[str, Any] = {"from": column.name, "codes": units}
            if len(units) < len(headers):
                form["else"] = "null"
            yield Proposal("satuan", column.name, form, 0.6, len(units), len(headers), ("units that the headers name",))


def _unit(header: str) -> str | None:
    bracket = (unit_of(header) or "").lower()
    if bracket in _UNITS:
        return _UNITS[bracket]
    return next((_UNITS[word] for word in reversed(plain_words(header)) if word in _UNITS and word != "tahun"), None)


def _crosswalked(around: Around) -> Iterator[Proposal]:
    """Codes of BPS beside their names."""
    for column in around.columns:
        texts = [str(value) for value in column.values]
        sizes = {len(text) for text in texts if text.isdigit()}
        level = {4: "kabupaten", 7: "kecamatan", 10: "desa"}.get(max(sizes, default=0))
        if level is None or len(set(texts)) < len(texts) or not all(text.isdigit() for text in texts):
            continue
        why = (f"{len(texts)} different codes with {max(sizes)} digits, as BPS has for a {level}",)
        count = len(texts)
        if all(isinstance(value, str) for value in column.values):
            yield Proposal("kode_asal", column.name, column.name, 0.85, count, count, why)
        form = {"from": column.name, "crosswalk": {"from": "bps", "level": level}, "else": "null"}
        yield Proposal("kode_kemendagri", column.name, form, 0.8, 0, count, why)
        yield Proposal("sistem", column.name, {"const": "bps"}, 0.8, count, count, why)
        return


def _enum_said(text: str, listed: Sequence[str]) -> str | None:
    words = " ".join(plain_words(text))
    found = [name for name in listed if re.search(rf"\b{re.escape(' '.join(plain_words(name)))}\b", words)]
    return found[0] if len(found) == 1 else None


def _region_said(name: str, around: Around, words: Sequence[str]) -> Iterator[Proposal]:
    """The one regency that the name of the source says."""
    for text in words:
        for word in plain_words(text):
            codes = around.codes.lookup_name(word, None, "kabupaten") if len(word) > 3 else []
            if len(codes) == 1:
                why = f"{text[:_SHOWN]!r} names {word.title()} and no column tells a region; every record gets it"
                yield Proposal(name, "", {"const": codes[0]}, 0.5, 0, 0, (why,))
                return


def _year_said(name: str, words: Sequence[str]) -> Iterator[Proposal]:
    """The one year that the texts around the table say."""
    found = {year: text for text in words for year in re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", text)}
    if len(found) == 1:
        year, text = next(iter(found.items()))
        why = f"{text[:_SHOWN]!r} says the year and no column does; every record gets it"
        yield Proposal(name, "", {"const": int(year)}, 0.5, 0, 0, (why,))


def _different(name: str, chosen: Mapping[str, Proposal], around: Around) -> Iterator[Proposal]:
    """A column that may serve as an identifier, for want of a better one: filled in every record, and never the same twice."""
    used = {proposal.column for proposal in chosen.values()}
    for column in sorted(around.columns, key=lambda one: one.name in used):
        texts = column.texts
        if not column.is_text() or column.empty or column.nested or len(set(texts)) < len(texts):
            continue
        if max(map(len, texts)) <= _LONGEST_IDENTIFIER:
            why = (
                "no column is like an identifier; the values of this one are all different: make sure that they stay so"
            )
            yield Proposal(name, column.name, column.name, 0.36, len(texts), len(texts), (why,))
            return
