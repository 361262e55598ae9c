"""What a file really is: a workbook or an XML file is read as what its content says, any other label that lies is told, not read."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from app.connectors.contents import Content, content_of, content_of_bytes
from app.connectors.file.source import SHEETS, FileSource
from app.errors import SourceFormatError

_BINARY = frozenset({"parquet", "gpkg", "shapefile", "kml", "dbf", "spss"}) | SHEETS
_MARKUP = frozenset({"xml", "kml", "xml2003"})


def settled(path: Path, source: FileSource) -> FileSource:
    """The source with its format: the stated one, else by the content where the ending leaves it open.

    Raises `SourceFormatError` when the content is something else, or an option does nothing for what it is.
    """
    found = content_of(path)
    kind = source.kind_of_file if found is None else found.format
    if kind in source.may_be and (found is not None or kind not in _BINARY):
        return _stated(source, kind, found)
    _require(found, source.kind_of_file)
    return source


def require_bytes(head: bytes, label: str) -> None:
    """Raises `SourceFormatError` when the first bytes are not what the label says."""
    _require(content_of_bytes(head), label)


def _require(found: Content | None, label: str) -> None:
    kind = found.format if found is not None else None
    if kind == label or (found is None and label not in _BINARY) or (label == "xml" and kind in _MARKUP):
        return
    if found is None and label == "dbf":  # its reader knows its header
        return
    detail = f"labelled {label}, but the content is " + (f"a {found.name}" if found is not None else "no such file")
    if found is not None:
        detail += f"; {found.advice}" if found.advice else f"; state format: {found.format}"
    raise SourceFormatError(detail, field="/source/format", detected=found.name if found is not None else None)


def _stated(source: FileSource, kind: str, found: Content | None) -> FileSource:
    """The same source, its options held against the format that the content has."""
    given = source.model_dump(exclude_defaults=True) | {"format": kind}
    try:
        return FileSource.model_validate(given)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0]) if fault["loc"] else "format"
        said = str(fault["msg"]).removeprefix("Value error, ")
        shown = found.name if found is not None else f"file of format {kind}"
        raise SourceFormatError(f"the content is a {shown}: {said}", field=f"/source/{name}") from None
