"""Opening the exchange log that the settings describe: SQLite in the instance's folder, or PostgreSQL."""

from __future__ import annotations

from app.audit.entry.record import Gateway
from app.audit.store.contract import LogStore
from app.audit.store.postgres import PostgresLogStore
from app.audit.store.sqlite import SqliteLogStore
from app.audit.tlog.policy import PolicyError, parse_policy
from app.audit.write.log import ExchangeLog
from app.audit.write.witnessing import WitnessRules
from app.errors import SettingsInvalid
from app.settings import Settings
from app.telemetry import Metrics


def log_store(settings: Settings, replica: str) -> LogStore:
    """The store of the settings, not opened yet."""
    if settings.database_url is None:
        return SqliteLogStore(settings.dir, settings.origin)
    return PostgresLogStore(settings.database_url.get_secret_value(), settings.origin, replica)


async def open_exchange_log(settings: Settings, gateway: Gateway, metrics: Metrics | None = None) -> ExchangeLog:
    """Open the log for writing; errors as for `ExchangeLog.open`. What it does is counted in `metrics`."""
    return await ExchangeLog.open(
        log_store(settings, gateway.replica),
        settings.dir,
        origin=settings.origin,
        gateway=gateway,
        batch_entries=settings.log_batch_entries,
        queue_entries=settings.log_queue_entries,
        checkpoint_seconds=settings.checkpoint_seconds,
        witnesses=witnesses_of(settings),
        metrics=metrics,
    )


def witnesses_of(settings: Settings) -> WitnessRules | None:
    """The witnesses of the settings' policy file; SettingsInvalid names its line."""
    path = settings.log_policy
    if path is None:
        return None
    try:
        policy = parse_policy(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, PolicyError) as error:
        raise SettingsInvalid(f"SIMPUL_LOG_POLICY {path}: {error}") from None
    reachable = {name for name, witness in policy.witnesses.items() if witness.url is not None}
    if not policy.satisfied(reachable):
        raise SettingsInvalid(
            f"SIMPUL_LOG_POLICY {path}: the quorum {policy.quorum} cannot be met by the witnesses that have a URL"
        )
    return WitnessRules(policy, settings.witness_failure_seconds, ca_file=settings.ca_file)
