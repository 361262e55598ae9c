"""The child process that parses one sheet under limits of memory and time. Run as a module.

The first line it writes tells of the workbook (`{"sheet": name, "sheets": [[name, visible]]}`), each further one is a row:
`[row, [cells]]`. A cell is null, text, a number, true or false, or `[kind, text]` for what JSON has no sign for (`wire.py`).
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

import orjson

from app.children import end_with_parent
from app.connectors.file.sheet.marks import Marks, MarksUnreadable
from app.connectors.file.sheet.sealed_lines import KEY_BYTES, writing
from app.connectors.file.sheet.wire import written

_CPU_SECONDS = 60


def main(path: str, kind: str, sheet: str, target: str, memory_bytes: int, most_bytes: int) -> int:
    """0 when the rows stand in `target`; else 1 and a word on stdout: `sheet:…`, `hidden:…`, `password:`, `format:`, `large:`."""
    end_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    from python_calamine import CalamineError, PasswordError  # noqa: PLC0415 - loaded under the limits

    try:
        said = _parse(path, kind, orjson.loads(sheet), target)
    except PasswordError:
        said = "password:"
    except (CalamineError, MarksUnreadable):
        said = "format:"
    except OSError:
        said = "large:"
    sys.stdout.write(said)
    return 1 if said else 0


def _parse(path: str, kind: str, wanted: int | str | None, target: str) -> str:
    """Empty when the rows are written, else what stands in the way."""
    from python_calamine import CalamineWorkbook, SheetVisibleEnum  # noqa: PLC0415 - loaded under the limits

    book = CalamineWorkbook.from_path(path)
    sheets = [(sheet.name, sheet.visible == SheetVisibleEnum.Visible) for sheet in book.sheets_metadata]
    names = [name for name, _ in sheets]
    listed = ", ".join(names)[:300]
    if wanted is None:
        name = next((name for name, visible in sheets if visible), None)
        if name is None:
            return f"hidden:{listed}"
    elif wanted in names:
        name = str(wanted)
    elif str(wanted).isdecimal() and int(wanted) < len(names):
        name = names[int(wanted)]
    else:
        return f"sheet:{listed}"
    found = book.get_sheet_by_name(name)
    first, left = found.start or (0, 0)
    marks = _marks(path, kind, name)
    with writing(Path(target), sys.stdin.buffer.read(KEY_BYTES)) as out:
        out.write(orjson.dumps({"sheet": name, "sheets": sheets}) + b"\n")
        for row, values in enumerate(found.iter_rows()):
            cells: list[Any] = [None] * (left if row >= first else 0)
            cells += [None if value == "" else value if type(value) is str else written(value) for value in values]
            for column, mark in marks.get(row, {}).items():
                cells += [None] * (column + 1 - len(cells))
                cells[column] = mark.of(cells[column])
            out.write(orjson.dumps([row + 1, cells]) + b"\n")
    return ""


def _marks(path: str, kind: str, sheet: str) -> Marks:
    """The marks of a sheet; raises `MarksUnreadable`."""
    if kind == "xls":
        from app.connectors.file.sheet.marks_xls import xls_marks  # noqa: PLC0415 - each format loads what it needs

        return xls_marks(path, sheet)
    if kind == "xlsx":
        from app.connectors.file.sheet.marks_xlsx import xlsx_marks  # noqa: PLC0415 - the same

        return xlsx_marks(path, sheet)
    from app.connectors.file.sheet.marks_ods import ods_marks  # noqa: PLC0415 - the same

    return ods_marks(path, sheet)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6])))
