"""The suite of all connector kinds, for `pytest`: our own kinds and those of other packages are held to it (extra `suite`).

A kind's test file has a fixture `subject` and a class of `ConnectorSuite`; the async fixtures need `app.connectors.suite.plugin`.
"""

import pytest

pytest.register_assert_rewrite("app.connectors.suite.reading", "app.connectors.suite.pushing")

from app.connectors.suite.pushing import PushingSuite
from app.connectors.suite.reading import FaultSuite, ReadingSuite
from app.connectors.suite.subject import (
    PERSON,
    SECRET,
    TEXTS,
    WHOLE_READS,
    Fault,
    Secrets,
    Subject,
    environment,
    held,
    opened,
    read,
)

__all__ = [
    "PERSON",
    "SECRET",
    "TEXTS",
    "WHOLE_READS",
    "ConnectorSuite",
    "Fault",
    "Secrets",
    "Subject",
    "environment",
    "held",
    "opened",
    "read",
]


class ConnectorSuite(ReadingSuite, PushingSuite, FaultSuite):
    """Every test reads `subject`, a module fixture of the kind's own file; what it does not declare must raise."""
