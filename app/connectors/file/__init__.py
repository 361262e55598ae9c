"""Kind `file`: CSV, sheets, documents and tables in an agency's own folder or elsewhere, one of them or several as one dataset."""

from app.connectors.contract import Connector
from app.connectors.environment import Environment
from app.connectors.file.connector import FileConnector
from app.connectors.file.located import INBOX, ending_of, scheme_of
from app.connectors.file.locations.connector import LocatedFiles
from app.connectors.file.locations.opening import opened_origin
from app.connectors.file.many import ManyFiles
from app.connectors.file.several import is_pattern
from app.connectors.file.source import FileSource
from app.connectors.source import Kind


def _open(source: FileSource, environment: Environment) -> Connector:
    packed = source.location.lower().endswith(".gz") or source.member is not None
    archive = ending_of(source.location) == ".zip" and source.format not in {"shapefile", "kml"}
    if packed or archive or scheme_of(source.location) != INBOX:
        return LocatedFiles(source, environment, opened_origin(source, environment))
    return ManyFiles(source, environment) if is_pattern(source.location) else FileConnector(source, environment)


KIND = Kind("file", FileSource, _open)
