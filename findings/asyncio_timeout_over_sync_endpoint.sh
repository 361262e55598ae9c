#!/usr/bin/env bash
# Libraries: fastapi 0.165.0 on starlette 1.10.0, anyio 4.16.0, httpx 0.28.1 (the client); Python 3.11 or later
# Behaviour: an ASGI middleware that bounds a request with asyncio.timeout, over plain "def" endpoints, gives
#   its 504 at once and leaves the endpoint's thread running, as one expects. What one does not expect:
#   1. the thread's token goes back to anyio's limiter while the thread still works, so the limit on worker
#      threads (40 by default) no longer limits: below 3 work at a time where 2 are allowed;
#   2. the exit code of the request's "def ... yield" dependency runs while the endpoint still uses what it
#      yielded, so one pooled connection is in the hands of two requests at a time.
#   The same middleware with anyio.fail_after waits for the thread: neither of the two, and late answers.
# Why one guesses otherwise: anyio's "Working with threads" says that a task waiting for a worker thread is
#   shielded from cancellation by default and that its limiter sets the maximum of threads. Its "Why you should
#   be using AnyIO APIs" notes that a shield does not stop Task.cancel(), which asyncio.timeout uses, but says
#   nothing of the token. FastAPI's "Dependencies with yield" has the exit code run after the response.
# What it costs: only under load, when requests pass their bound: two transactions mixed on one connection.
# Do instead: put the bound into the blocking call (a statement timeout) with anyio.fail_after around it; where
#   the 504 must come at once, take and give back the connection inside the function that the thread runs.
# Output seen (this script fails when it changes):
#> asyncio.timeout   [504, 504, 504] threads at work: 3 of 2, connection in two hands: 2 times
#> anyio.fail_after  [200, 200, 200] threads at work: 1 of 2, connection in two hands: 0 times
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet fastapi==0.165.0 starlette==1.10.0 anyio==4.16.0 httpx==0.28.1
"$work/venv/bin/python" - >"$work/seen" <<'PY'
import asyncio, threading, time
from typing import Annotated
import anyio, anyio.to_thread, httpx
from fastapi import Depends, FastAPI
free, busy, seen, lock = ["c1", "c2"], [], {}, threading.Lock()
def connection():
    mine = free.pop()
    try:
        yield mine
    finally:
        free.append(mine)
inner = FastAPI()
@inner.get("/")
def write(mine: Annotated[str, Depends(connection)]):
    with lock:
        seen["shared"] += mine in busy
        busy.append(mine)
        seen["peak"] = max(seen["peak"], len(busy))
    time.sleep(2.5)  # the blocking statement
    busy.remove(mine)
async def by_asyncio(call):
    async with asyncio.timeout(0.75): await call
async def by_anyio(call):
    with anyio.fail_after(0.75): await call
async def main():
    anyio.to_thread.current_default_thread_limiter().total_tokens = 2
    for name, bound in (("asyncio.timeout", by_asyncio), ("anyio.fail_after", by_anyio)):
        async def app(scope, receive, send):
            try:
                await bound(inner(scope, receive, send))
            except TimeoutError:
                await send({"type": "http.response.start", "status": 504, "headers": []})
                await send({"type": "http.response.body", "body": b""})
        seen.update(shared=0, peak=0)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
            codes = [(await client.get("/")).status_code for _ in range(3)]
        while busy: await asyncio.sleep(0.1)
        print(f"{name:17} {codes} threads at work: {seen['peak']} of 2, connection in two hands: {seen['shared']} times")
asyncio.run(main())
PY
cat "$work/seen"
sed -n 's/^#> //p' "$0" | diff - "$work/seen"
