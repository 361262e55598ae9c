"""Kind `gateway`: another Simpul."""

from app.connectors.gateway.connector import GatewayConnector
from app.connectors.gateway.source import GatewaySource
from app.connectors.source import Kind

KIND = Kind("gateway", GatewaySource, GatewayConnector, requests=True)
