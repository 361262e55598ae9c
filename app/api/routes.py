"""All routers in the order in which they are matched: the hot ones first."""

from __future__ import annotations

from fastapi import APIRouter

from app.api import operation
from app.api.audit import data_tracker, exchange_summary, exchanges, incidents, log, subject_usage
from app.api.governance import access, agreements, erasures
from app.api.records import aggregates, changes, conflicts, explain, jobs, queries, records
from app.api.registry import agencies, catalogue, clients, connectors

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
