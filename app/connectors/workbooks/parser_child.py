"""The child process that parses one sheet under limits of memory and time. Run as a module.

The first line it writes tells of the workbook (`{"sheet": name, "sheets": [[name, visible]]}`), each further one is a row:
`[row, [cells]]`. A cell is null, text, a number, true or false, or `[kind, text]` for what JSON has no sign for (`wire.py`).
Behind the first rows that say something a blank line stands, and then all others in blocks (`blocks.py`).
"""

from __future__ import annotations

import io
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any, Final, Protocol

import orjson

from app.children import end_with_parent
from app.connectors.workbooks.marks import Marks, MarksUnreadable, SheetFlaw
from app.connectors.workbooks.sealed_lines import KEY_BYTES, writing
from app.connectors.workbooks.wire import written_row

FIRST_ROWS: Final = 1_100
"""So many that a whole batch is left behind a header and lines above it: a first batch that is shorter says that the sheet is small."""
BLOCK_ROWS: Final = 8_192
_CPU_SECONDS = 60
_LARGE_BYTES = 1 << 20
"""Of a workbook that surely has rows behind the first ones: what writes them is loaded while it is parsed."""
Sink = Callable[[int, list[Any]], object]


def main(path: str, kind: str, sheet: str, encoding: str, target: str, memory_bytes: int, most_bytes: int) -> int:
    """0 when the rows stand in `target`, and their number on stdout; else 1 and a word: `sheet:…`, `hidden:…`, `password:`, `format:…`,
    `large:`.
    """
    end_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    from python_calamine import CalamineError, PasswordError  # noqa: PLC0415 - loaded under the limits

    said: str | int
    try:
        said = _parse(_book(path, kind, encoding), orjson.loads(sheet), target)
    except PasswordError:
        said = "password:"
    except SheetFlaw as flaw:
        said = f"format:{flaw}"
    except (CalamineError, MarksUnreadable):
        said = "format:"
    except OSError as fault:  # the parser of workbooks raises it without a number
        said = "large:" if fault.errno else "format:"
    sys.stdout.buffer.write(str(said).encode())
    return 0 if isinstance(said, int) else 1


class _Book(Protocol):
    """What is parsed: its sheets with whether each is visible, and the rows of one, numbered from 0, in the form of `wire.py`."""

    @property
    def sheets(self) -> list[tuple[str, bool]]: ...

    def rows(self, name: str, sink: Sink) -> None: ...


def _book(path: str, kind: str, encoding: str) -> _Book:
    if kind == "html":
        from app.connectors.workbooks.html_tables import HtmlTables  # noqa: PLC0415 - each format loads what it needs

        return HtmlTables(path, encoding)
    if kind == "xml2003":
        from app.connectors.workbooks.xml2003 import Xml2003  # noqa: PLC0415 - the same

        return Xml2003(path)
    return _Calamine(path, kind)


def _parse(book: _Book, wanted: int | str | None, target: str) -> str | int:
    """How many rows are written, else what stands in the way."""
    sheets = book.sheets
    names = [name for name, _ in sheets]
    listed = ", ".join(names)[:300]
    if wanted is None:
        name = next((name for name, visible in sheets if visible), None)
        if name is None:
            return f"hidden:{listed}" if names else "format:there is no table in the file"
    elif wanted in names:
        name = str(wanted)
    elif str(wanted).isdecimal() and int(wanted) < len(names):
        name = names[int(wanted)]
    elif len(fitting := [name for name, visible in sheets if visible and fnmatchcase(name, str(wanted))]) == 1:
        name = fitting[0]
    else:
        return f"sheet:{listed}"
    with writing(Path(target), sys.stdin.buffer.read(KEY_BYTES)) as out:
        out.write(orjson.dumps({"sheet": name, "sheets": sheets}) + b"\n")
        rows = Rows(out)
        book.rows(name, rows.take)
        rows.end()
    return rows.count


class Rows:
    """Writes rows: the first ones as lines, those behind them in blocks."""

    def __init__(self, out: IO[bytes], first: int = FIRST_ROWS) -> None:
        """`first`: how many rows that say something are lines."""
        self._out = out
        self._left = first
        self.count = 0
        """How many rows were taken."""
        self._numbers: list[int] = []
        self._rows: list[list[Any]] = []

    def take(self, row: int, cells: list[Any]) -> None:
        """The next row, counted from 0."""
        self.count += 1
        if self._left > 0:
            said = written_row(cells)
            self._out.write(orjson.dumps([row + 1, said]) + b"\n")
            self._left -= any(cell is not None and not (type(cell) is str and not cell.strip()) for cell in said)
            return
        self._numbers.append(row + 1)
        self._rows.append(cells)
        if len(self._rows) >= BLOCK_ROWS:
            self.end()

    def end(self) -> None:
        """Writes what is left."""
        if not self._rows:
            return
        if self._left == 0:  # only who has many rows loads what writes blocks
            self._left = -1
            self._out.write(b"\n")
        from app.connectors.workbooks.blocks import write_block  # noqa: PLC0415 - the same

        write_block(self._out, self._numbers, self._rows)
        self._numbers, self._rows = [], []


class _Calamine:
    """A workbook that python-calamine reads."""

    def __init__(self, path: str, kind: str) -> None:
        from python_calamine import CalamineWorkbook  # noqa: PLC0415 - loaded under the limits

        self._path, self._kind = path, kind
        self._book = CalamineWorkbook.from_path(path)

    @property
    def sheets(self) -> list[tuple[str, bool]]:
        """Without sheets that hold a chart and no cells."""
        from python_calamine import SheetTypeEnum, SheetVisibleEnum  # noqa: PLC0415 - loaded under the limits

        return [
            (sheet.name, sheet.visible == SheetVisibleEnum.Visible)
            for sheet in self._book.sheets_metadata
            if sheet.typ == SheetTypeEnum.WorkSheet
        ]

    def rows(self, name: str, sink: Sink) -> None:
        with ThreadPoolExecutor(1) as beside:  # the parser of workbooks lets go of the interpreter
            looking = beside.submit(_marks, self._path, self._kind, name)
            if Path(self._path).stat().st_size > _LARGE_BYTES:
                beside.submit(_load_blocks)
            found = self._book.get_sheet_by_name(name)
            first, left = found.start or (0, 0)
            marks = looking.result()
        if not marks and not left:
            for row, values in enumerate(found.iter_rows()):
                sink(row, values)
            return
        for row, values in enumerate(found.iter_rows()):
            cells: list[Any] = [None] * (left if row >= first else 0)
            cells += values
            for column, mark in marks.get(row, {}).items():
                cells += [None] * (column + 1 - len(cells))
                cells[column] = mark.of(cells[column])
            sink(row, cells)


def _load_blocks() -> None:
    """Loads what writes blocks, and what pyarrow loads at its first array (pandas, where it is installed)."""
    from app.connectors.workbooks.blocks import write_block  # noqa: PLC0415 - only who has many rows loads it

    write_block(io.BytesIO(), [1], [[0.5]])


def _marks(path: str, kind: str, sheet: str) -> Marks:
    """The marks of a sheet; raises `MarksUnreadable`."""
    if kind == "xls":
        from app.connectors.workbooks.marks_xls import xls_marks  # noqa: PLC0415 - each format loads what it needs

        return xls_marks(path, sheet)
    if kind == "xlsx":
        from app.connectors.workbooks.marks_xlsx import xlsx_marks  # noqa: PLC0415 - the same

        return xlsx_marks(path, sheet)
    if kind == "xlsb":
        from app.connectors.workbooks.marks_xlsb import xlsb_marks  # noqa: PLC0415 - the same

        return xlsb_marks(path, sheet)
    from app.connectors.workbooks.marks_ods import ods_marks  # noqa: PLC0415 - the same

    return ods_marks(path, sheet)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5], int(sys.argv[6]), int(sys.argv[7])))
