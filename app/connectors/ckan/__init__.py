"""Kind `ckan`: a resource of a CKAN portal, or the portal's list of packages."""

from app.connectors.ckan.connector import CkanConnector
from app.connectors.ckan.source import CkanSource
from app.connectors.source import Kind

KIND = Kind("ckan", CkanSource, CkanConnector, requests=True)
