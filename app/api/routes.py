"""All resources in the order in which their routes are matched: the hot ones first."""

from __future__ import annotations

from app.api import operation
from app.api.audit import data_tracker, exchange_summary, exchanges, incidents, log, subject_usage
from app.api.governance import access, agreements, enrolment, entitlements, erasures
from app.api.layer.resource import Resource, RouteRule
from app.api.people import accounts, oidc, session, sign_in
from app.api.records import aggregates, changes, conflicts, explain, jobs, queries, records
from app.api.registry import agencies, catalogue, clients, codes, connectors, discovery, health, quality, uploads

RESOURCES: tuple[Resource, ...] = (
    aggregates.routes,
    explain.routes,
    changes.routes,
    conflicts.routes,
    records.routes,
    queries.routes,
    jobs.routes,
    access.routes,
    enrolment.routes,
    operation.routes,
    catalogue.routes,
    codes.routes,
    agencies.routes,
    uploads.routes,
    connectors.routes,
    discovery.routes,
    discovery.schema_routes,
    quality.routes,
    health.routes,
    clients.routes,
    sign_in.routes,
    oidc.routes,
    session.routes,
    accounts.routes,
    agreements.routes,
    entitlements.routes,
    erasures.routes,
    subject_usage.routes,
    incidents.routes,
    data_tracker.routes,
    exchange_summary.routes,
    exchanges.routes,
    log.receipts,
    log.routes,
)

RULES: tuple[RouteRule, ...] = tuple(rule for resource in RESOURCES for rule in resource.rules)
