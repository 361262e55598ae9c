"""The child process that parses one sheet under limits of memory and time. Run as a module; writes JSON lines `[row, [cells]]`."""

from __future__ import annotations

import json
import resource
import sys
from datetime import date, datetime, time, timedelta
from typing import Any

_CPU_SECONDS = 60


def main(path: str, sheet: str, target: str, memory_bytes: int, most_bytes: int) -> int:
    """0 when the rows stand in `target`; else 1 and a word on stdout: `sheet:…`, `format:`, `large:`."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    from python_calamine import CalamineError, CalamineWorkbook  # noqa: PLC0415 - loaded under the limits

    try:
        book = CalamineWorkbook.from_path(path)
        names = book.sheet_names
        if sheet not in names and not (sheet.isdigit() and int(sheet) < len(names)):
            sys.stdout.write("sheet:" + ", ".join(names)[:300])
            return 1
        found = book.get_sheet_by_name(sheet) if sheet in names else book.get_sheet_by_index(int(sheet))
        first = found.start[0] if found.start else 0
        left = found.start[1] if found.start else 0
        with open(target, "w", encoding="utf-8") as out:  # noqa: PTH123 - a plain file is enough here
            for number, row in enumerate(found.iter_rows(), 1):
                cells = [""] * (left if number > first else 0) + [_cell(value) for value in row]
                out.write(json.dumps([number, cells[: len(row)] if left == 0 else cells], ensure_ascii=False) + "\n")
    except CalamineError:
        sys.stdout.write("format:")
        return 1
    except OSError:
        sys.stdout.write("large:")
        return 1
    return 0


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
