"""Kind `ogc`: features of OGC API Features and of WFS 2."""

from app.connectors.ogc.connector import OgcConnector
from app.connectors.ogc.source import OgcSource
from app.connectors.source import Kind

KIND = Kind("ogc", OgcSource, OgcConnector)
