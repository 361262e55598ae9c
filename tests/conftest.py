"""What every test may use: asyncio, PostgreSQL databases of its own; and no network in unit tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.fixtures.postgres import Cluster, fresh_database, shared_cluster, stop_shared_cluster
from tests.support import programs
from tests.support.acceptance_files import FilesAbsentError, real_files, which_files
from tests.support.mariadb import running_server

ROOT = Path(__file__).resolve().parent.parent
SESSION_FOLDER = pytest.StashKey[Path]()

# No deadline: two cores shared with a database server say nothing about the code. Examples differ from run to run on a
# developer's machine and are the same in CI, so that a red run can be repeated.
settings.register_profile("house", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("house"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "house")


def pytest_configure(config: pytest.Config) -> None:
    """Give the run one folder that all workers share; the controller makes it, workers are told."""
    # Plain tracebacks: the coloured ones with local variables cost a tenth of a second each.
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])
    try:
        real_files()
    except FilesAbsentError as fault:
        raise pytest.UsageError(str(fault)) from None
    programs.fork_from_now_on()
    worker_input = getattr(config, "workerinput", None)
    if worker_input is None:
        config.stash[SESSION_FOLDER] = Path(tempfile.mkdtemp(prefix="simpul-tests-"))
    else:
        config.stash[SESSION_FOLDER] = Path(worker_input["simpul_session_folder"])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    """xdist: tell a starting worker the folder of the run."""
    node.workerinput["simpul_session_folder"] = str(node.config.stash[SESSION_FOLDER])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """xdist: tests that share a server go to one worker."""
    from tests.support.distribution import PartsScheduling

    return PartsScheduling(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_unconfigure(config: pytest.Config) -> None:
    """The controller stops what the workers started."""
    folder = config.stash.get(SESSION_FOLDER, None)
    if folder is not None and not hasattr(config, "workerinput"):
        stop_shared_cluster(folder)
        shutil.rmtree(folder, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Unit tests do no I/O: their sockets are blocked."""
    unit = ROOT / "tests" / "unit"
    for item in items:
        if unit in item.path.parents:
            item.add_marker(pytest.mark.disable_socket)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter) -> Iterator[None]:
    """Say at the end which files the acceptance tests ran on. The controller alone has a terminal, and all reports."""
    yield
    reports = [report for group in terminalreporter.stats.values() for report in group]
    if any(str(getattr(report, "nodeid", "")).startswith("tests/acceptance/") for report in reports):
        terminalreporter.write_line(f"acceptance: ran on {which_files()}")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The only event loop the product runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_cluster(request: pytest.FixtureRequest) -> Cluster:
    """One throw-away cluster for the whole run (fsync on, loopback only)."""
    return shared_cluster(request.config.stash[SESSION_FOLDER])


@pytest.fixture
def postgres_url(postgres_cluster: Cluster) -> Iterator[str]:
    """`postgresql://…` of a fresh, empty database that is dropped after the test."""
    with fresh_database(postgres_cluster) as url:
        yield url


@pytest.fixture(scope="module")
def postgres_module_url(postgres_cluster: Cluster) -> Iterator[str]:
    """As `postgres_url`, one database for the tests of a module."""
    with fresh_database(postgres_cluster) as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_port() -> Iterator[int]:
    """The port of a throw-away MariaDB server; `tests.support.mariadb.fresh_database` makes databases there."""
    with running_server() as port:
        yield port
