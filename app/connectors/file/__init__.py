"""Kind `file`: CSV, sheets, documents and tables in an agency's own folder, one of them or several as one dataset."""

from app.connectors.contract import Connector
from app.connectors.environment import Environment
from app.connectors.file.connector import FileConnector
from app.connectors.file.many import ManyFiles
from app.connectors.file.several import is_pattern
from app.connectors.file.source import FileSource
from app.connectors.source import Kind


def _open(source: FileSource, environment: Environment) -> Connector:
    return ManyFiles(source, environment) if is_pattern(source.location) else FileConnector(source, environment)


KIND = Kind("file", FileSource, _open)
