"""Kind `rest`: JSON or XML over HTTP."""

from app.connectors.rest.connector import RestConnector
from app.connectors.rest.source import RestSource
from app.connectors.source import Kind

KIND = Kind("rest", RestSource, RestConnector, requests=True)
