"""The HTTP side of `simpul witness serve`: `POST /add-checkpoint` and the witness's key; nothing else is served.

Does not live here: what a witness decides (`audit/witness.py`).
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.audit.witness import MOST_BYTES, Answer, Witness


def witness_app(witness: Witness, vkey: str) -> Starlette:
    """The application of one witness. Decisions run one after another in a thread of their own."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="witness")

    async def add_checkpoint(request: Request) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MOST_BYTES:
                return _response(Answer(413, f"a request has at most {MOST_BYTES} bytes\n"))
        answer = await asyncio.get_running_loop().run_in_executor(thread, witness.add_checkpoint, body)
        return _response(answer)

    async def show_key(request: Request) -> Response:
        del request
        return PlainTextResponse(vkey + "\n")

    routes = [Route("/add-checkpoint", add_checkpoint, methods=["POST"]), Route("/vkey", show_key, methods=["GET"])]
    return Starlette(routes=routes)


def _response(answer: Answer) -> Response:
    return Response(answer.body.encode(), status_code=answer.status, headers={"content-type": answer.kind})
