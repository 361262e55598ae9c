"""Pages for people: the problem pages (id and en) and the API documentation, all served without the internet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import escape
from importlib.resources import files

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from app.api.layer.problems import PROBLEMS
from app.errors import NotFound

router = APIRouter(include_in_schema=False)

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; worker-src blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_TYPES = {"js": "text/javascript", "css": "text/css", "png": "image/png", "svg": "image/svg+xml"}
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#0b6e7f" stroke-width="4">'
    '<circle cx="12" cy="16" r="8"/><circle cx="20" cy="16" r="8"/></svg>'
)
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1b2a33}"
    "code{background:#eef3f5;padding:.1em .3em;border-radius:3px}h1{font-size:1.5rem}h2{font-size:1.1rem}"
    "table{border-collapse:collapse}td,th{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #dde5e9}"
)


def _html(title: str, body: str) -> HTMLResponse:
    page = f'<!doctype html><html lang="id"><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>{body}'
    return HTMLResponse(page, headers={"content-security-policy": _CSP})


@router.get("/problems")
async def list_problems() -> HTMLResponse:
    """All problem types."""
    rows = "".join(
        f'<tr><td><a href="/problems/{kind.slug}"><code>{kind.code}</code></a></td><td>{kind.status}</td>'
        f"<td>{escape(kind.title_id)}</td><td>{escape(kind.title_en)}</td></tr>"
        for kind in sorted(PROBLEMS.values(), key=lambda kind: (kind.status, kind.code))
    )
    return _html("Problems", f"<h1>Masalah / Problems</h1><table>{rows}</table>")


@router.get("/problems/{slug}")
async def show_problem(slug: str) -> HTMLResponse:
    """One problem type: what it means and what to do, in Indonesian and English."""
    kind = PROBLEMS.get(slug.replace("-", "_"))
    if kind is None:
        raise NotFound("no problem type has this name; /problems lists them")
    return _html(
        kind.title_en,
        f"<h1><code>{kind.code}</code> · HTTP {kind.status}</h1>"
        f'<h2 lang="id">{escape(kind.title_id)}</h2><p lang="id">{escape(kind.advice_id)}</p>'
        f'<h2 lang="en">{escape(kind.title_en)}</h2><p lang="en">{escape(kind.advice_en)}</p>'
        '<p><a href="/problems">Semua masalah / all problems</a></p>',
    )


@router.get("/docs")
async def swagger() -> HTMLResponse:
    """Swagger UI from the gateway's own assets."""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Simpul API</title>'
        '<link rel="stylesheet" href="/static/swagger-ui.css"></head><body><div id="swagger-ui"></div>'
        '<script src="/static/swagger-ui-bundle.js"></script><script src="/static/docs.js"></script></body></html>'
    )
    return HTMLResponse(page, headers={"content-security-policy": _CSP})


@router.get("/redoc")
async def redoc() -> HTMLResponse:
    """Redoc from the gateway's own assets."""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Simpul API reference</title></head>'
        '<body><div id="redoc"></div><script src="/static/redoc.standalone.js"></script>'
        '<script src="/static/redoc.js"></script></body></html>'
    )
    return HTMLResponse(page, headers={"content-security-policy": _CSP})


@router.get("/")
async def index() -> Response:
    """People who open the gateway's address see its documentation."""
    return RedirectResponse("/docs", 302)


@router.get("/favicon.ico")
async def favicon() -> Response:
    """A knot."""
    return Response(_ICON, media_type="image/svg+xml", headers={"cache-control": "public, max-age=86400"})


@router.get("/.well-known/api-catalog")
async def api_catalog(request: Request) -> Response:
    """Where the API and its description are (RFC 9727)."""
    base = request.app.state.services.settings.base_url.rstrip("/")
    described = {"href": f"{base}/openapi.json", "type": "application/vnd.oai.openapi+json;version=3.1"}
    documented = {"href": f"{base}/docs", "type": "text/html"}
    status = {"href": f"{base}/status", "type": "application/json"}
    entry = {"anchor": f"{base}/v1", "service-desc": [described], "service-doc": [documented], "status": [status]}
    content = orjson.dumps({"linkset": [entry]})
    return Response(content, media_type='application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"')


@router.get("/.well-known/security.txt")
async def security_txt(request: Request) -> Response:
    """Whom to tell of a weakness (RFC 9116)."""
    settings = request.app.state.services.settings
    ends = (datetime.now(UTC) + timedelta(days=180)).strftime("%Y-%m-%dT00:00:00Z")
    lines = [f"Contact: {settings.security_contact}", f"Expires: {ends}", "Preferred-Languages: id, en"]
    lines.append(f"Canonical: {settings.base_url.rstrip('/')}/.well-known/security.txt")
    return Response("\n".join(lines) + "\n", media_type="text/plain; charset=utf-8")


@router.get("/static/{name}")
async def static(name: str, request: Request) -> Response:
    """The assets of the two documentation pages."""
    ending = name.rpartition(".")[2]
    asset = files("app.api").joinpath("static", name)
    if "/" in name or ".." in name or ending not in _TYPES or not asset.is_file():
        raise NotFound("no such asset", path=request.url.path)
    return Response(asset.read_bytes(), media_type=_TYPES[ending], headers={"cache-control": "public, max-age=86400"})
