"""Pages for people, each in one language with a switch: the problems and the API documentation, all served without the internet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import escape
from importlib.resources import files

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from app.api.layer.admittance import authenticate
from app.api.layer.bodies import JSON
from app.api.layer.dependencies import services
from app.api.layer.formats import language_of
from app.api.layer.problem_types import ProblemType
from app.api.layer.problems import PROBLEMS
from app.api.narrowed import narrowed
from app.api.openapi import ordered, with_public
from app.api.routes import RESOURCES, RULES
from app.api.translation import indonesian
from app.errors import NotFound, ParameterUnknown
from app.gateway import entitlements
from app.lanes import in_bulk

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
    "main{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1b2a33}"
    "code{background:#eef3f5;padding:.1em .3em;border-radius:3px}h1{font-size:1.5rem}h2{font-size:1.1rem}"
    "table{border-collapse:collapse}td,th{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #dde5e9}"
)

_BAR = (
    "body{margin:0}.bar{font:15px/1.4 system-ui,sans-serif;background:#0b4f5c;color:#fff;padding:.6rem 1rem;display:flex;"
    "gap:1.2rem;flex-wrap:wrap}.bar a{color:#d7f0f4}.bar a[hreflang]{margin-left:auto}"
)
_REQUIRED = 'html[lang="id"] .swagger-ui .parameter__name.required:after{content:"wajib"}'
_LANGUAGES = {"id": "Bahasa Indonesia", "en": "English"}
_WORDS = {
    "id": {
        "problems": "Jenis masalah",
        "all": "Semua jenis masalah",
        "docs": "Dokumentasi API",
        "reference": "Referensi API",
    },
    "en": {
        "problems": "Problem types",
        "all": "All problem types",
        "docs": "API documentation",
        "reference": "API reference",
    },
}


def _language(request: Request) -> str:
    """`lang=`, else what the browser prefers."""
    chosen = request.query_params.get("lang")
    if chosen is None:
        return language_of(request.headers.get("accept-language"))
    if chosen not in _LANGUAGES:
        raise ParameterUnknown(f"lang is {' or '.join(_LANGUAGES)}", parameter="lang")
    return chosen


def _page(request: Request, title: str, body: str, *, head: str = "", style: str = _STYLE) -> HTMLResponse:
    """A page in one language, with a bar that leads to the others."""
    language = _language(request)
    words, path = _WORDS[language], escape(request.url.path)
    links = [
        f'<a href="/{to}?lang={language}">{words[word]}</a>'
        for to, word in (("docs", "docs"), ("redoc", "reference"), ("problems", "problems"))
    ]
    links += [
        f'<a href="{path}?lang={other}" lang="{other}" hreflang="{other}">{name}</a>'
        for other, name in _LANGUAGES.items()
        if other != language
    ]
    bar = f'<nav class="bar"><b>Simpul</b>{"".join(links)}</nav>'
    page = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{escape(title)}</title><style>{_BAR}{style}</style>{head}</head>'
        f"<body>{bar}{body}</body></html>"
    )
    headers = {"content-security-policy": _CSP, "content-language": language, "vary": "Accept-Language"}
    return HTMLResponse(page, headers=headers)


def _told(kind: ProblemType, language: str) -> tuple[str, str]:
    """Title and advice."""
    return (kind.title_id, kind.advice_id) if language == "id" else (kind.title_en, kind.advice_en)


@router.get("/problems")
async def list_problems(request: Request) -> HTMLResponse:
    """All problem types."""
    language = _language(request)
    rows = "".join(
        f'<tr><td><a href="/problems/{kind.slug}?lang={language}"><code>{kind.code}</code></a></td><td>{kind.status}</td>'
        f"<td>{escape(_told(kind, language)[0])}</td></tr>"
        for kind in sorted(PROBLEMS.values(), key=lambda kind: (kind.status, kind.code))
    )
    title = _WORDS[language]["problems"]
    return _page(request, title, f"<main><h1>{title}</h1><table>{rows}</table></main>")


@router.get("/problems/{slug}")
async def show_problem(slug: str, request: Request) -> HTMLResponse:
    """One problem type: what it means and what to do."""
    kind = PROBLEMS.get(slug.replace("-", "_"))
    if kind is None:
        raise NotFound("no problem type has this name; /problems lists them")
    language = _language(request)
    title, advice = _told(kind, language)
    body = (
        f"<main><h1>{escape(title)}</h1><p><code>{kind.code}</code> · HTTP {kind.status}</p><p>{escape(advice)}</p>"
        f'<p><a href="/problems?lang={language}">{_WORDS[language]["all"]}</a></p></main>'
    )
    return _page(request, title, body)


@router.get("/openapi.json")
async def document(request: Request) -> Response:
    """The OpenAPI document; `lang=id`: in Indonesian; `as=me`, with a token: what its holder may use today."""
    language = request.query_params.get("lang", "en")
    if language not in _LANGUAGES:
        raise ParameterUnknown(f"lang is {' or '.join(_LANGUAGES)}", parameter="lang")
    whose = request.query_params.get("as")
    if whose is not None:
        return await _own_document(request, whose, language)
    kept: dict[str, bytes] = request.app.state.documents
    if language not in kept:
        whole = request.app.openapi()
        if request.app.state.services.settings.public_open_data:
            whole = with_public(whole, RESOURCES)
        kept[language] = orjson.dumps(ordered(indonesian(whole) if language == "id" else whole))
    return Response(kept[language], media_type=JSON, headers={"content-language": language})


async def _own_document(request: Request, whose: str, language: str) -> Response:
    if whose != "me":
        raise ParameterUnknown("as is me, or left out", parameter="as")
    state = services(request)
    given = request.headers
    caller = await authenticate(state, request.scope, given.get("authorization"), given.get("dpop"))
    state.access.check_rate(caller)
    usable = await entitlements.usable(state, caller)

    def made() -> bytes:
        cut = narrowed(request.app.openapi(), RULES, caller.role, usable)
        return orjson.dumps(ordered(indonesian(cut) if language == "id" else cut))

    headers = {"content-language": language, "cache-control": "no-store", "vary": "Authorization"}
    return Response(await in_bulk(made), media_type=JSON, headers=headers)


def _filled_by(request: Request, element: str, bundle: str, ours: str) -> str:
    """An element and the scripts that fill it. The bundles speak English: an Indonesian page has their labels in `labels.js`."""
    names = [bundle, *(["labels"] if _language(request) == "id" else []), ours]
    scripts = "".join(f'<script src="/static/{name}.js"></script>' for name in names)
    return f'<div id="{element}"></div>{scripts}'


@router.get("/docs")
async def swagger(request: Request) -> HTMLResponse:
    """Swagger UI from the gateway's own assets."""
    title = f"Simpul · {_WORDS[_language(request)]['docs']}"
    head = '<link rel="stylesheet" href="/static/swagger-ui.css">'
    return _page(
        request, title, _filled_by(request, "swagger-ui", "swagger-ui-bundle", "docs"), head=head, style=_REQUIRED
    )


@router.get("/redoc")
async def redoc(request: Request) -> HTMLResponse:
    """Redoc from the gateway's own assets."""
    title = f"Simpul · {_WORDS[_language(request)]['reference']}"
    return _page(request, title, _filled_by(request, "redoc", "redoc.standalone", "redoc"), style="")


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
