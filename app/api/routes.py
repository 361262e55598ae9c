"""All routers in the order in which they are matched: the hot ones first."""

from __future__ import annotations

from fastapi import APIRouter

from app.api import (
    access,
    agencies,
    aggregates,
    agreements,
    catalogue,
    changes,
    clients,
    conflicts,
    connectors,
    data_tracker,
    erasures,
    exchange_summary,
    exchanges,
    explain,
    incidents,
    jobs,
    log,
    operation,
    queries,
    records,
    subject_usage,
)

ROUTERS: tuple[APIRouter, ...] = (
    aggregates.router,
    explain.router,
    changes.router,
    conflicts.router,
    records.router,
    queries.router,
    jobs.router,
    access.router,
    operation.router,
    catalogue.router,
    agencies.router,
    connectors.router,
    clients.router,
    agreements.router,
    erasures.router,
    subject_usage.router,
    incidents.router,
    data_tracker.router,
    exchange_summary.router,
    exchanges.router,
    log.router,
)
