"""Marks of an XLS workbook, by xlrd. A formula that was never computed holds 0 there as its result: the format has no sign for it."""

from __future__ import annotations

import os
import struct
from collections import defaultdict

import xlrd
from xlrd.biffh import XLRDError

from app.connectors.workbooks.marks import PERCENTAGE, Mark, Marks, MarksUnreadable, error, is_percent


def xls_marks(path: str, sheet: str) -> Marks:
    """The marks of a sheet, rows and columns counted from 0; raises `MarksUnreadable`."""
    marks: defaultdict[int, dict[int, Mark]] = defaultdict(dict)
    try:
        with open(os.devnull, "w") as quiet:  # noqa: PTH123 - a plain sink for the library's notes
            book = xlrd.open_workbook(path, logfile=quiet, formatting_info=True, on_demand=True, ragged_rows=True)
            found = book.sheet_by_name(sheet)
            percents = {
                index
                for index, style in enumerate(book.xf_list)
                if is_percent(book.format_map[style.format_key].format_str)
            }
            for row in range(found.nrows):
                for column, kind in enumerate(found.row_types(row)):
                    if kind == xlrd.XL_CELL_ERROR:
                        code = int(str(found.cell_value(row, column)))
                        marks[row][column] = error(xlrd.error_text_from_code.get(code, "#?"))
                    elif kind == xlrd.XL_CELL_NUMBER and found.cell_xf_index(row, column) in percents:
                        marks[row][column] = PERCENTAGE
    except (XLRDError, AssertionError, LookupError, ValueError, TypeError, struct.error) as fault:
        raise MarksUnreadable(str(fault)) from None
    return marks
