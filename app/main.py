"""`create_app(settings)`: the application with its routes, its layer, and a lifespan that opens and closes the services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp

from app.api import openapi, pages
from app.api.layer.exchange_layer import ExchangeLayer
from app.api.layer.resource import RuleTable
from app.api.routes import RESOURCES
from app.errors import FieldError, MethodNotAllowed, NotFound, RequestError, SimpulError, ValidationFailed
from app.settings import Settings, load_settings
from app.wiring import open_services

_DESCRIPTION = """\
One question, all agencies, an honest answer, a provable record.

Get a token at `/oauth/token` (client credentials), then read `/v1/records/{schema}`. Every answer says which agency gave
which record and who did not answer; every exchange stands in the exchange log before the answer leaves.
"""
_TAGS = [
    {"name": "records", "description": "Federated answers over all agencies that provide a schema."},
    {"name": "catalogue", "description": "Schemas, datasets, agencies, codes, purposes: what there is to ask for."},
    {"name": "connectors", "description": "For stewards: register, check, preview and publish an agency's datasets."},
    {"name": "governance", "description": "Agreements, clients and secrets."},
    {"name": "audit", "description": "For auditors: who asked what of whom, and the proof."},
    {"name": "log", "description": "The transparency log as verifiers fetch it (C2SP tlog-tiles)."},
    {"name": "access", "description": "Tokens and keys."},
    {"name": "people", "description": "People: signing in, sessions, accounts."},
    {"name": "jobs", "description": "Whole answers that are made in the background."},
    {"name": "queries", "description": "SQL over the names of schemas."},
    {"name": "operation", "description": "Health and metrics."},
]


_LAST_WORDS_SECONDS = 10.0


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application of one gateway process. Nothing is opened before the lifespan starts."""
    chosen = settings or load_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as opened:
            try:
                services = await opened.enter_async_context(open_services(chosen))
            except SimpulError as fault:
                app.state.fault = fault
                raise
            app.state.services = services
            yield
            # The server has cancelled what did not end in time; each of those requests still closes its exchange.
            await services.under_way.idle(_LAST_WORDS_SECONDS)

    app = _Application(
        title="Simpul",
        summary="Inter-agency data-integration gateway",
        description=_DESCRIPTION,
        version=openapi.VERSION,
        contact={
            "name": "Walidata (Diskominfo)",
            "url": "https://github.com/simpul-id/simpul",
        },
        license_info={"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0.html"},
        servers=[{"url": "/", "description": "This gateway (production)", "x-internal": False}],
        openapi_tags=sorted(_TAGS, key=lambda tag: tag["name"]),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        exception_handlers={HTTPException: _http_fault, RequestValidationError: _parameter_fault},
    )
    app.origins = chosen.cors_origins
    app.state.documents = {}
    app.state.fault = None
    for resource in RESOURCES:
        app.include_router(resource.router)
    app.include_router(pages.router)
    app.openapi = lambda: openapi.complete(app, RESOURCES)  # type: ignore[method-assign]
    return app


class _Application(FastAPI):
    """FastAPI with the exchange layer in the place of Starlette's last resort: every fault becomes a problem there."""

    origins: tuple[str, ...] = ()
    """Whose pages may call it from a browser."""

    def build_middleware_stack(self) -> ASGIApp:
        """The framework's stack without its outermost part, inside of the layer."""
        stack = super().build_middleware_stack()
        if not isinstance(stack, ServerErrorMiddleware):
            raise TypeError("the framework's stack no longer begins with ServerErrorMiddleware")
        layer = ExchangeLayer(stack.app, RuleTable(RESOURCES))
        if not self.origins:
            return layer
        return CORSMiddleware(
            layer,
            allow_origins=self.origins,
            allow_methods=("*",),
            allow_headers=("*",),
            expose_headers=openapi.SENT_HEADERS,
        )


def build_openapi() -> dict[str, Any]:
    """The document of a gateway with default settings: what `openapi/simpul.json` holds."""
    return openapi.complete(create_app(Settings.model_construct()), RESOURCES)


def _operation_id(route: APIRoute) -> str:
    return route.name


async def _http_fault(request: Request, fault: Exception) -> Any:
    """Starlette's own 404 and 405 become errors of the tree; the layer turns those into problems."""
    del request
    raise _translated(fault) from None


def _translated(fault: Exception) -> SimpulError:
    status = getattr(fault, "status_code", 500)
    if status == 404:
        return NotFound("no route has this path; /docs lists them")
    if status == 405:
        headers = getattr(fault, "headers", None) or {}
        return MethodNotAllowed("this path does not take this method", allow=headers.get("Allow"))
    return RequestError(str(getattr(fault, "detail", "")))


async def _parameter_fault(request: Request, fault: Exception) -> Any:
    """A path or query parameter that does not fit its declaration."""
    del request
    found = fault.errors() if isinstance(fault, RequestValidationError) else ()
    errors = [FieldError("/".join(str(step) for step in item["loc"][1:]), item["type"], item["msg"]) for item in found]
    raise ValidationFailed("a parameter does not fit", errors=errors) from None
