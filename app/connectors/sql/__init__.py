"""Kind `sql`: PostgreSQL, MySQL, MariaDB, Oracle and SQLite as sources, read only."""

from __future__ import annotations

from app.connectors.contract import Connector
from app.connectors.environment import Environment
from app.connectors.source import Kind
from app.connectors.sql.address import SqliteAddress
from app.connectors.sql.mysql import MysqlConnector
from app.connectors.sql.oracle import OracleConnector
from app.connectors.sql.postgres import PostgresConnector
from app.connectors.sql.source import SqlSource
from app.connectors.sql.sqlite import SqliteConnector


def _open(source: SqlSource, environment: Environment) -> Connector:
    if isinstance(source.address, SqliteAddress):
        return SqliteConnector(source, environment)
    if source.dialect == "oracle":
        return OracleConnector(source, environment)
    return (MysqlConnector if source.dialect == "mysql" else PostgresConnector)(source, environment)


KIND = Kind("sql", SqlSource, _open)
