"""What a workbook holds beside its cells and a reader has to know of: macros, links to other workbooks."""

from __future__ import annotations

import zipfile
from pathlib import Path


def workbook_notes(path: Path, kind: str) -> list[str]:
    """Notes on a workbook of this format; none where it holds nothing of the kind. Raises `OSError`."""
    if kind in {"html", "xml2003"}:
        said = "HTML tables" if kind == "html" else "the XML of Excel 2003"
        return (
            [f"the file holds {said}, whatever its ending says"]
            if path.suffix.lower() not in {".html", ".htm", ".xml"}
            else []
        )
    if not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as archive:
        names = {name.lower() for name in archive.namelist()}
    notes = []
    if any(name.endswith("vbaproject.bin") for name in names):
        notes.append("the workbook has macros (VBA); they are never run, the stored results of its cells are read")
    if any(name.rpartition("/")[2].startswith("externallink") and name.endswith((".xml", ".bin")) for name in names):
        notes.append(
            "the workbook has links to other workbooks; the results that it stored when it was saved are read, whether they are old or not"
        )
    return notes
