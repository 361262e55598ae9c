"""Spreadsheets (XLSX, XLS, ODS): a child process parses them under limits, cells keep their kind on the way to the mapping."""

from app.connectors.file.sheet.reader import read_sheet, sheets_of

__all__ = ["read_sheet", "sheets_of"]
