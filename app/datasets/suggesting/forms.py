"""Which mappings a column could take for a field: the notations that its values are written in, most plain first.

A form is tried on the sample afterwards (`trying.py`): what the values do not bear out is not proposed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from app.connectors.cells import ErrorCell, Percent
from app.datasets.mapping.codes import CodeBook
from app.datasets.suggesting.columns import SampleColumn
from app.datasets.suggesting.words import alike, concepts, plain_words
from app.schemas.base import FieldSpec
from app.schemas.registry import SchemaDef

Form = tuple[Any, str]
"""A mapping as `fields` takes it, and why it is thought of."""

_DATES = (
    "iso", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y/%m/%d", "%d %B %Y", "%d %b %Y", "%d %b %y", "%d-%b-%Y", "%d-%b-%y", "%d/%m/%y",
    "%d-%m-%y", "%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y", "%B %d, %Y", "%Y%m%d", "%d%m%Y",
)  # fmt: skip
MONTH_FIRST = frozenset({"%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y"})
_TIMES = ("%H:%M:%S", "%H:%M", "%H.%M")
_CLOCK = re.compile(r"\d{1,2}[:.]\d{2}([:.]\d{2})?(\s*(WIB|WITA|WIT))?")
_NUMBER = re.compile(r"^(?P<sign>-?)(?P<prefix>\D*?)(?P<body>-?\d[\d.,' ]*?)(?P<suffix>\s*[^\d\s.,][^\d]*)?$")
_YES_NO = (
    ("ya", "tidak"), ("y", "t"), ("y", "n"), ("ada", "tidak ada"), ("ada", "tidak"), ("true", "false"), ("1", "0"), ("v", "-"),
    ("sudah", "belum"), ("aktif", "tidak aktif"), ("yes", "no"),
)  # fmt: skip
_CODE_WORDS: Mapping[str, tuple[str, ...]] = {
    "puskesmas": ("pkm", "pusat kesehatan masyarakat", "puskesmas"),
    "rumah_sakit": ("rs", "rumah sakit", "hospital", "rsud"),
    "rs_umum": ("rsu", "rumah sakit umum", "rs umum"),
    "rs_khusus": ("rsk", "rumah sakit khusus", "rs khusus", "rsia"),
    "klinik": ("klinik", "clinic", "klinik pratama", "klinik utama"),
    "NEGERI": ("n", "negeri", "public"),
    "SWASTA": ("s", "swasta", "private"),
    "tetap": ("tetap", "final"),
    "sementara": ("sementara", "angka sementara", "*"),
    "kabupaten": ("kab", "kota", "kabupaten"),
    "kecamatan": ("kec", "kecamatan", "district"),
    "desa": ("desa", "village"),
    "kelurahan": ("kel", "kelurahan"),
}
_LEVELS: Mapping[str, tuple[str, ...]] = {
    "provinsi": ("PROVINSI ", "PROV. ", "PROPINSI "),
    "kabupaten": ("KABUPATEN ", "KAB. ", "KAB ", "KOTA "),
    "kecamatan": ("KECAMATAN ", "KEC. ", "KEC "),
    "desa": ("DESA ", "KELURAHAN ", "KEL. ", "DS. "),
}
_BPS_LEVELS = {2: "provinsi", 4: "kabupaten", 7: "kecamatan", 10: "desa"}
_PART_ALIKE = 0.6
_ROMAN = re.compile(r"^[IVX]+(\s*-\s*[IVX]+)?\s+\S")


@dataclass(frozen=True, slots=True)
class Around:
    """What a form may need beside its column: the code lists, the other columns of the source."""

    schema: SchemaDef
    codes: CodeBook
    columns: tuple[SampleColumn, ...]
    parent: str | None = None
    """The region in which names are looked for first."""


Maker = Callable[[SampleColumn, FieldSpec, Around], Iterator[Form]]


def forms_of(column: SampleColumn, spec: FieldSpec, around: Around) -> Iterator[Form]:
    """The mappings to try."""
    if spec.semantic in _BY_SEMANTIC:
        yield from _BY_SEMANTIC[spec.semantic](column, spec, around)
        return
    if spec.enum is not None:
        yield from _codes(column, spec)
        return
    yield from _BY_KIND.get(spec.kind, _text)(column, spec, around)


def _text(column: SampleColumn, spec: FieldSpec, _: Around) -> Iterator[Form]:
    values = column.values
    if any(isinstance(value, list | dict) for value in values):
        return
    if not all(isinstance(value, str) for value in values):
        yield {"from": column.name, "as_text": {}}, "the source gives numbers or dates where the schema has text"
        return
    odd = sum(value != " ".join(value.split()) for value in values)
    if odd or spec.semantic in {"Nama", "TeksJudul"}:
        yield (
            {"from": column.name, "text": "squeeze"},
            f"{odd} values have blanks to take off" if odd else "names are squeezed",
        )
    yield column.name, "text as it is"


def _codes(column: SampleColumn, spec: FieldSpec) -> Iterator[Form]:
    found = column.distinct
    listed = spec.enum or ()
    if len(found) > 60:
        return
    if all(value in listed for value in found):
        yield column.name, "every value stands in the field's list"
        return
    made = {str(value): near for value in found if (near := _listed(str(value), listed)) is not None}
    if not made:
        return
    left = [str(value) for value in found if str(value) not in made]
    said = f"{len(made)} of {len(found)} values are like one of the list"
    if left and "lainnya" in listed:
        made |= dict.fromkeys(left, "lainnya")
        said += f"; {', '.join(left[:5])} is taken as lainnya"
    elif left:
        said += f"; no value of the list is like {', '.join(left[:5])}"
    yield {"from": column.name, "codes": made, **({"else": "null"} if len(made) < len(found) else {})}, said


def _listed(value: str, listed: Iterable[str]) -> str | None:
    """The value of a closed list that a text means, or None."""
    words = " ".join(plain_words(value)) or value.strip().lower()
    best: tuple[int, str] | None = None
    for name in listed:
        for said in (" ".join(plain_words(name)), *_CODE_WORDS.get(name, ())):
            if words == said:
                return name
            if len(said) > 3 and re.search(rf"\b{re.escape(said)}\b", words) and (best is None or len(said) > best[0]):
                best = len(said), name
    return best[1] if best else None


def _number(column: SampleColumn, spec: FieldSpec, _: Around) -> Iterator[Form]:
    values = column.values
    if any(isinstance(value, bool | list | dict | date) for value in values):
        return
    if any(isinstance(value, Percent) for value in values):
        yield {"from": column.name, "number": {"suffix": "%"}}, "the sheet shows a percentage"
        return
    if not any(isinstance(value, str) for value in values):
        numbers = all(isinstance(value, int | float | Decimal | ErrorCell) for value in values)
        if numbers:
            yield column.name, "numbers of the source"
        return
    options, reason = _notation(column, spec)
    if options is not None:
        yield {"from": column.name, "number": options}, reason


def _notation(column: SampleColumn, spec: FieldSpec) -> tuple[dict[str, str] | None, str]:
    """The notation of numbers that are written as text, and what decided it."""
    parts = [match for text in column.texts if (match := _NUMBER.match(text))]
    if len(parts) * 2 < len(column.texts):
        return None, ""
    bodies = [match["body"].strip() for match in parts]
    beside: dict[str, str] = {}
    for name in ("prefix", "suffix"):
        signs = Counter(sign for match in parts if (sign := (match[name] or "").strip()) and sign != "-")
        if signs:
            beside[name] = signs.most_common(1)[0][0]
    marks, reason = _marks(bodies, spec)
    return marks | beside, reason


def _marks(bodies: list[str], spec: FieldSpec) -> tuple[dict[str, str], str]:
    points, commas = [body for body in bodies if "." in body], [body for body in bodies if "," in body]
    for body in bodies:
        if "." in body and "," in body:
            both = {"thousands": ".", "decimal": ","} if body.rfind(",") > body.rfind(".") else {"thousands": ","}
            return both, f"{body} has both marks"
    if not points and not commas:
        return {}, "whole numbers"
    if any(body.count(".") > 1 for body in points):
        return {"thousands": ".", "decimal": ","}, "a point stands more than once in a number"
    if any(body.count(",") > 1 for body in commas):
        return {"thousands": ","}, "a comma stands more than once in a number"
    grouped = all(re.search(r"[.,]\d{3}$", body) for body in [*points, *commas])
    whole = spec.kind == "integer" or spec.semantic.startswith("Rupiah")
    if grouped and whole and all(len(re.split(r"[.,]", body)[0].lstrip("-")) <= 3 for body in [*points, *commas]):
        mark = "." if points else ","
        options = {"thousands": ".", "decimal": ","} if mark == "." else {"thousands": ","}
        return options, f"three digits behind every {mark!r}: taken as thousands, since the field holds whole amounts"
    if commas:
        return {"decimal": ","}, "a comma is the decimal mark" + (", though no value decides it" if grouped else "")
    return {}, "a point is the decimal mark" + (", though no value decides it" if grouped else "")


def _coordinate(column: SampleColumn, spec: FieldSpec, around: Around) -> Iterator[Form]:
    part = "lat" if spec.semantic == "Lintang" else "lng"
    texts = column.texts
    if any(isinstance(value, list) for value in column.values):
        first = next(value for value in column.values if isinstance(value, list))
        if len(first) == 2 and all(isinstance(one, int | float | Decimal) for one in first):
            order = "latlng" if abs(float(first[1])) > 90 else "lnglat"
            yield {"from": column.name, "position": {"notation": order, "part": part}}, "a list of two numbers"
        return
    if texts and sum(text.upper().startswith("POINT") for text in texts) * 2 > len(texts):
        yield {"from": column.name, "position": {"notation": "wkt", "part": part}}, "written as POINT(lng lat)"
        return
    if texts and sum(bool(re.search(r"\d\s*°?\s*(LS|LU|BT|BB|[NSEW])$", text)) for text in texts) * 2 > len(texts):
        yield {"from": column.name, "hemisphere": True}, "the hemisphere stands behind the number"
        return
    pairs = [re.findall(r"-?\d+(?:[.,]\d+)?", text) for text in texts]
    if pairs and sum(len(pair) == 2 for pair in pairs) * 2 > len(pairs):
        ahead = next(float(pair[0].replace(",", ".")) for pair in pairs if len(pair) == 2)
        order = "lnglat" if abs(ahead) > 90 else "latlng"
        yield {"from": column.name, "position": {"notation": order, "part": part}}, "a pair of coordinates"
        return
    yield from _number(column, spec, around)


def _boolean(column: SampleColumn, _: FieldSpec, __: Around) -> Iterator[Form]:
    if all(isinstance(value, bool) for value in column.values):
        yield column.name, "true and false"
        return
    written = {str(value).strip().lower(): str(value).strip() for value in column.distinct}
    for yes, no in _YES_NO:
        if written and set(written) <= {yes, no}:
            options = {key: written[word] for key, word in (("true", yes), ("false", no)) if word in written}
            yield (
                {"from": column.name, "boolean": options},
                f"{' and '.join(written.values())} stand for true and false",
            )
            return


def _date(column: SampleColumn, _: FieldSpec, __: Around) -> Iterator[Form]:
    if all(isinstance(value, date) and not isinstance(value, datetime) for value in column.values):
        yield column.name, "dates of the source"
        return
    yield from _dated(column, "date", ())


def _datetime(column: SampleColumn, _: FieldSpec, around: Around) -> Iterator[Form]:
    if all(isinstance(value, datetime) for value in column.values):
        yield {"from": column.name, "datetime": "iso"}, "times of the source"
        return
    yield from _dated(column, "datetime", _TIMES)
    clock = next((other for other in around.columns if other is not column and _is_clock(other)), None)
    if clock is not None and not any(":" in text for text in column.texts):
        formats = [f"{one} {time}" for one in _DATES if one != "iso" for time in _TIMES]
        joined = {"expr": f"{_quoted(column.name)} || ' ' || {_quoted(clock.name)}"}
        yield joined | {"datetime": formats}, f"the day of {column.name} and the time of {clock.name}"


def _dated(column: SampleColumn, step: str, times: tuple[str, ...]) -> Iterator[Form]:
    if not column.is_text():
        return
    formats = ["iso", *(f"{one} {time}" for one in _DATES if one != "iso" for time in times), *_DATES[1:]]
    yield {"from": column.name, step: formats if times else list(_DATES)}, "formats that the values fit"


def _is_clock(column: SampleColumn) -> bool:
    return column.is_text() and all(_CLOCK.fullmatch(text) for text in column.texts)


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def _region(column: SampleColumn, spec: FieldSpec, around: Around) -> Iterator[Form]:
    texts = [str(value) for value in column.values if not isinstance(value, list | dict | bool)]
    if not texts:
        return
    if sum(bool(re.fullmatch(r"\d\d(\.\d\d(\.\d\d(\.\d{4})?)?)?", text)) for text in texts) * 2 > len(texts):
        yield column.name, "codes of Kemendagri, with points"
    digits = Counter(len(text) for text in texts if text.isdigit())
    for count, _ in digits.most_common(2):
        if count in _BPS_LEVELS:
            step = {"from": "bps", "level": _BPS_LEVELS[count]}
            yield {"from": column.name, "crosswalk": step}, f"codes of BPS with {count} digits"
    yield from _named(column, around)
    if spec.semantic == "KodeWilayahAtauAsal":
        yield from _partly(column, around)
        yield from _foreign(column)


def _named(column: SampleColumn, around: Around) -> Iterator[Form]:
    """Names of regions: found in the loaded list, or said by the header alone."""
    if not column.is_text():
        return
    names = {text.upper(): " ".join(text.upper().split()) for text in column.texts}
    said = concepts(column.spoken)
    for level, words in _LEVELS.items():
        strips = [word for word in words if any(name.startswith(word) for name in names.values())]
        bare = [_stripped(name, strips) for name in names.values()]
        codes = [found for name in bare if (found := around.codes.lookup_name(name, around.parent, level))]
        if not codes and level not in said:
            continue
        options: dict[str, Any] = {"level": level}
        parent = _common(code for found in codes if len(found) == 1 for code in found) or around.parent
        if parent and level != "provinsi":
            options["parent"] = parent
        strip = [word for word in strips if level != "kabupaten" or word not in {"KABUPATEN ", "KOTA "}]
        if strip:
            options["strip"] = strip
        form: dict[str, Any] = {"from": column.name, "lookup": options}
        reason = f"{len(codes)} of {len(bare)} names stand in the loaded list of regions ({level})"
        if len(codes) < len(bare):
            form["else"] = "null"
        yield form, reason


def _partly(column: SampleColumn, around: Around) -> Iterator[Form]:
    """Regions of which the loaded list holds some: those by their code, the others by the source's own code or name."""
    if not column.is_text():
        return
    name, texts = _quoted(column.name), [str(value) for value in column.distinct]
    if sum(bool(re.match(r"\d{4}\D", text)) for text in texts) == len(texts):
        known = sorted({text[:4] for text in texts if around.codes.crosswalk("bps", text[:4], "kabupaten")})
        branch = {"from": column.name, "slice": [1, 4], "crosswalk": {"from": "bps", "level": "kabupaten"}}
        if known:
            condition = " or ".join(f"{name} like '{code}%'" for code in known[:20])
            when = [{"if": condition, **branch}, {"expr": f"'bps:' || substr({name}, 1, 4)"}]
            yield (
                {"when": when},
                f"codes of BPS with 4 digits before the name; {', '.join(known)} stand in the loaded lists",
            )
        return
    for level in ("kabupaten", "kecamatan"):
        found = {text: around.codes.lookup_name(text, around.parent, level) for text in texts}
        known = [text for text, codes in found.items() if len(codes) == 1 and "'" not in text]
        if known and len(known) <= 20 and len(known) < len(texts):
            listed = ", ".join(f"'{text}'" for text in known)
            branch = {"from": column.name, "lookup": {"level": level}}
            when = [{"if": f"{name} in ({listed})", **branch}, {"expr": f"'asal:' || replace({name}, ' ', '_')"}]
            yield (
                {"when": when},
                f"{len(known)} of {len(texts)} names stand in the loaded list; the others keep their own name",
            )
            return


def _stripped(name: str, words: Iterable[str]) -> str:
    for word in words:
        name = name.removeprefix(word)
    return name.strip()


def _common(codes: Iterable[str]) -> str | None:
    """The closest region that holds all of these, above their own level."""
    split = [code.split(".")[:-1] for code in codes]
    if not split:
        return None
    together = []
    for parts in zip(*split, strict=False):
        if len(set(parts)) > 1:
            break
        together.append(parts[0])
    return ".".join(together) or None


def _foreign(column: SampleColumn) -> Iterator[Form]:
    """An own code of the source, for a key that needs one."""
    name = _quoted(column.name)
    yield (
        {"expr": f"'asal:' || replace({name}, ' ', '_')" if column.is_text() else f"concat('asal:', {name})"},
        "the source's own code or name with a system before it, where no code of Kemendagri can be had; name the system",
    )


def _identifier(column: SampleColumn, spec: FieldSpec, around: Around) -> Iterator[Form]:
    """Text that is a number by its look alone."""
    rule = spec.rule
    least, most = getattr(rule, "min_length", 1), getattr(rule, "max_length", 0)
    if all(isinstance(value, int) and not isinstance(value, bool) for value in column.values):
        options = {"digits": most} if least == most else {}
        yield {"from": column.name, "as_text": options}, "an identifier that the source holds as a number"
        return
    yield from _text(column, spec, around)


def _list(column: SampleColumn, spec: FieldSpec, around: Around) -> Iterator[Form]:
    lists = all(isinstance(value, list) for value in column.values)
    if spec.item_kind == "object":
        yield from _objects(column, spec, around, lists=lists)
        return
    if lists:
        yield column.name, "a list of the source"
        return
    if any(isinstance(value, list) for value in column.values):
        yield {"from": column.name, "list": "keep"}, "lists and single values"
        return
    if not column.is_text():
        return
    sign = next((sign for sign in (";", "|", ",", "/") if any(sign in text for text in column.texts)), ",")
    yield {"from": column.name, "split": {"by": sign}}, f"parts stand between {sign!r}"


def _objects(column: SampleColumn, spec: FieldSpec, around: Around, *, lists: bool) -> Iterator[Form]:
    parts = spec.item.parts if spec.item is not None else {}
    if lists and all(isinstance(one, dict) for value in column.values for one in value):
        names = list(dict.fromkeys(name for value in column.values for one in value for name in one))
        fields = {}
        for part in parts:
            ranked = sorted((-alike(name, parts[part], around.schema), name) for name in names)
            if ranked and ranked[0][0] <= -_PART_ALIKE:
                fields[part] = ranked[0][1]
        if fields:
            yield {"from": column.name, "each": {"fields": fields}}, "a list of objects; members of the same name"
        return
    if "rupiah" in parts and column.is_text():
        yield {"from": column.name, "prices": {"currency": "rupiah"}}, "amounts in a free text"
    if "mmi_min" in parts and column.is_text() and all(_ROMAN.match(text) for text in column.texts):
        yield {"from": column.name, "felt": "mmi"}, "intensities in Roman numbers, with the place"


def _geometry(column: SampleColumn, _: FieldSpec, around: Around) -> Iterator[Form]:
    first = next(iter(column.values), None)
    text = first.strip() if isinstance(first, str) else ""
    if (beside := _corners(column, around)) is not None:
        yield beside
    elif isinstance(first, dict) or text.startswith("{"):
        yield {"from": column.name, "geometry": {"notation": "geojson"}}, "GeoJSON"
    elif isinstance(first, list) or text.startswith("["):
        numbers = [float(one) for one in re.findall(r"-?\d+\.?\d*", text or str(first))[:2]]
        swapped = len(numbers) == 2 and abs(numbers[1]) > 90
        options = {"notation": "coordinates", **({"axis": "latlng"} if swapped else {})}
        said = "bare coordinates" + (", latitude first: the second number is above 90" if swapped else "")
        yield {"from": column.name, "geometry": options}, said


def _corners(column: SampleColumn, around: Around) -> Form | None:
    """Corners of areas in two columns, found at the one with the latitudes."""
    other = next((one for one in around.columns if "bujur" in concepts(one.spoken)), None)
    if "lintang" not in concepts(column.spoken) or other is None or other.name == column.name:
        return None
    here, there = (next((value for value in one.values), None) for one in (column, other))
    options: dict[str, Any] = {"notation": "columns", "axis": "latlng"}
    if not (_plain_list(here) and _plain_list(there)):
        if not isinstance(here, str) or not isinstance(there, str):
            return None
        by = next(
            (sign for sign in (";", "|", " ") if min(here.strip().count(sign), there.strip().count(sign)) > 2), None
        )
        if by is None:
            return None
        options["by"] = by
        if re.search(r"\d,\d", here) or re.search(r"\d,\d", there):
            options["decimal"] = ","
        if re.search(r"\d\s*°?\s*(LS|LU)", here):
            options = {**{name: value for name, value in options.items() if name != "decimal"}, "hemisphere": True}
    return {
        "from": [column.name, other.name],
        "geometry": options,
    }, f"corners: latitudes here, longitudes in {other.name}"


def _plain_list(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 3 and all(isinstance(one, int | float | Decimal) for one in value)


_BY_KIND: Mapping[str, Maker] = {
    "integer": _number,
    "decimal": _number,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "list": _list,
    "geometry": _geometry,
}
_BY_SEMANTIC: Mapping[str, Maker] = {
    "Lintang": _coordinate,
    "Bujur": _coordinate,
    "KodeWilayah": _region,
    "KodeWilayahAtauAsal": _region,
    **dict.fromkeys(
        ("Nik", "NomorKk", "Nip", "Npsn", "KodePos", "Nib", "Pengenal", "KodeFaskes", "KodeAsal"), _identifier
    ),
}
