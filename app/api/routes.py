"""All routers in the order in which they are matched: the hot ones first."""

from __future__ import annotations

from fastapi import APIRouter

from app.api import (
    access,
    agencies,
    agreements,
    catalogue,
    clients,
    connectors,
    erasures,
    exchange_summary,
    exchanges,
    log,
    operation,
    records,
    subject_usage,
)

ROUTERS: tuple[APIRouter, ...] = (
    records.router,
    access.router,
    operation.router,
    catalogue.router,
    agencies.router,
    connectors.router,
    clients.router,
    agreements.router,
    erasures.router,
    subject_usage.router,
    exchange_summary.router,
    exchanges.router,
    log.router,
)
