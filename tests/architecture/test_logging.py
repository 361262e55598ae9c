"""One way to write a log line: structlog, an event and what belongs to it. How lines leave is set in `app/telemetry.py` alone."""

from __future__ import annotations

import ast
from pathlib import Path

APP = Path(__file__).resolve().parents[2] / "app"
CONFIGURES = {"telemetry.py"}
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def loggers_of_the_library(tree: ast.AST) -> list[int]:
    """Lines that import `logging`."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        if any(name.partition(".")[0] == "logging" for name in names):
            found.append(node.lineno)
    return found


def lines_without_event(tree: ast.AST) -> list[int]:
    """Lines that log something else than one constant event and named values."""
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id in {"log", "_logger"}):
            continue
        event = node.args[0].value if len(node.args) == 1 and isinstance(node.args[0], ast.Constant) else None
        if not (isinstance(event, str) and event.isidentifier() and event.islower()):
            found.append(node.lineno)
    return found


def test_one_module_knows_the_library_of_loggers() -> None:
    found = {
        str(file.relative_to(APP)): lines
        for file in sorted(APP.rglob("*.py"))
        if (lines := loggers_of_the_library(ast.parse(file.read_text("utf-8"))))
    }
    assert found.keys() == CONFIGURES


def test_every_line_is_an_event_with_named_values() -> None:
    found = [
        f"{file.relative_to(APP)}:{line}"
        for file in sorted(APP.rglob("*.py"))
        for line in lines_without_event(ast.parse(file.read_text("utf-8")))
    ]
    assert found == []


BAD = """\
import logging
import logging.handlers as handlers
from logging import getLogger
from .logging import mine
import structlog
_logger.warning("closed %d exchanges", 3)
log.error(f"closed {3}")
log.error("Closed some")
log.critical("log_broken", code=1)
settings.error("of another thing")
"""


def test_the_checks_see_what_they_are_for() -> None:
    assert loggers_of_the_library(ast.parse(BAD)) == [1, 2, 3]
    assert lines_without_event(ast.parse(BAD)) == [6, 7, 8]
