"""Kind `file`: CSV, sheets and JSON files in an agency's own folder."""

from app.connectors.file.connector import FileConnector
from app.connectors.file.source import FileSource
from app.connectors.source import Kind

KIND = Kind("file", FileSource, FileConnector)
