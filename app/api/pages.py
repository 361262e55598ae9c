"""Pages for people: the problem pages (id and en) and the API documentation, all served without the internet."""

from __future__ import annotations

from html import escape
from importlib.resources import files

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from app.api.layer.problems import PROBLEMS
from app.errors import NotFound

router = APIRouter(include_in_schema=False)

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; worker-src blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_TYPES = {"js": "text/javascript", "css": "text/css", "png": "image/png", "svg": "image/svg+xml"}
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


@router.get("/static/{name}")
async def static(name: str, request: Request) -> Response:
    """The assets of the two documentation pages."""
    ending = name.rpartition(".")[2]
    asset = files("app.api").joinpath("static", name)
    if "/" in name or ".." in name or ending not in _TYPES or not asset.is_file():
        raise NotFound("no such asset", path=request.url.path)
    return Response(asset.read_bytes(), media_type=_TYPES[ending], headers={"cache-control": "public, max-age=86400"})
