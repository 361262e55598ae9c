"""Spreadsheets and pages of tables: a child process parses them under limits, cells keep their kind on the way to the mapping."""

from app.connectors.file.sheet.notes import workbook_notes
from app.connectors.file.sheet.reader import parse_sheet, parsed_rows, read_sheet, sheets_of

__all__ = ["parse_sheet", "parsed_rows", "read_sheet", "sheets_of", "workbook_notes"]
