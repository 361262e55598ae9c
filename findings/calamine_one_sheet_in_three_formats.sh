#!/usr/bin/env bash
# Libraries: python-calamine 0.9.1 (the reader); XlsxWriter 3.3.1, xlwt 1.3.0, odfpy 1.4.1 (writers of the same sheet)
# Behaviour: the same cells come out as other Python types by the format of the file, and none of it raises:
#   1. a duration of 8:30 ([h]:mm) is a timedelta from XLSX and XLS, a time of day from ODS; one of 36:00 is a timedelta from
#      XLSX and XLS, and the TEXT "PT36H00M00S" from ODS. So a column of durations in an ODS sheet mixes time and str, split
#      at 24 hours, and its sums fail or leave the long ones out.
#   2. an error cell (#N/A) is an empty text from XLSX and XLS, exactly as an empty cell is, and from ODS the text "#N/A" that
#      the cell shows. A column with failed look-ups reads as a column with gaps.
#   3. a whole number is a float from XLSX and ODS and an int from XLS.
# Why one guesses otherwise: one reader for all these formats is what the library is chosen for; its README names no
#   difference between them, and no sign for errors.
# What it costs: a parser that was tested with XLSX takes ODS sheets without a fault and gives other values.
# Do instead: treat time-of-day, timedelta and PT…-text of ODS alike; read error cells from the file itself (t="e" in XLSX,
#   xlrd's XL_CELL_ERROR in XLS), since nothing in what comes back tells them from empty cells.
# Output seen (this script fails when it changes):
#> xlsx 8:30 timedelta, 36:00 timedelta, time time, #N/A '', empty '', 1033201 float
#> xls  8:30 timedelta, 36:00 timedelta, time time, #N/A '', empty '', 1033201 int
#> ods  8:30 time, 36:00 str PT36H00M00S, time time, #N/A '#N/A', empty '', 1033201 float
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet python-calamine==0.9.1 XlsxWriter==3.3.1 xlwt==1.3.0 odfpy==1.4.1
(cd "$work" && "$work/venv/bin/python" - >"$work/seen") <<'PY'
import datetime as dt
import xlsxwriter, xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P
from python_calamine import CalamineWorkbook
durations = [dt.timedelta(hours=8, minutes=30), dt.timedelta(hours=36)]
with xlsxwriter.Workbook("a.xlsx") as book:
    sheet = book.add_worksheet()
    long, clock = book.add_format({"num_format": "[h]:mm"}), book.add_format({"num_format": "hh:mm"})
    for row, length in enumerate(durations):
        sheet.write_datetime(row, 0, length, long)
    sheet.write_datetime(2, 0, dt.time(8, 30), clock)
    sheet.write_formula(3, 0, "=NA()", None, "#N/A")
    sheet.write_number(5, 0, 1033201)
book = xlwt.Workbook()
sheet = book.add_sheet("a")
for row, length in enumerate(durations):
    sheet.write(row, 0, length / dt.timedelta(days=1), xlwt.easyxf(num_format_str="[h]:mm"))
sheet.write(2, 0, dt.time(8, 30), xlwt.easyxf(num_format_str="hh:mm"))
sheet.row(3).set_cell_error(0, 0x2A)
sheet.write(5, 0, 1033201)
book.save("a.xls")
document = OpenDocumentSpreadsheet()
table = Table(name="a")
document.spreadsheet.addElement(table)
cells = [TableCell(valuetype="time", timevalue=text) for text in ("PT08H30M00S", "PT36H00M00S", "PT08H30M00S")]
error = TableCell(valuetype="string", formula="of:=NA()")
error.addElement(P(text="#N/A"))
for cell in [*cells, error, TableCell(), TableCell(valuetype="float", value=1033201)]:
    row = TableRow()
    row.addElement(cell)
    table.addElement(row)
document.save("a.ods")
for kind in ("xlsx", "xls", "ods"):
    short, far, clock, failed, empty, number = [row[0] for row in CalamineWorkbook.from_path(f"a.{kind}").get_sheet_by_index(0).to_python()]
    text = f" {far}" if isinstance(far, str) else ""
    print(f"{kind:4} 8:30 {type(short).__name__}, 36:00 {type(far).__name__}{text}, time {type(clock).__name__}, "
          f"#N/A {failed!r}, empty {empty!r}, 1033201 {type(number).__name__}")
PY
cat "$work/seen"
sed -n 's/^#> //p' "$0" | diff - "$work/seen"
