#!/usr/bin/env bash
# Library: httpx-aiohttp 0.2.0 with httpx 0.28.1 and aiohttp 3.14.5
# Behaviour: where the server closes the connection before its head is complete the transport raises httpx.ConnectTimeout, at once and
#   without any time having run out; httpx's own transport raises RemoteProtocolError. Cut within the body the two differ again
#   (ReadError, RemoteProtocolError), and neither is a time-out.
# Why one guesses otherwise: the transport is offered in place of httpx's own, "the same API"; a connection that was made cannot time out
#   in connecting, and the neighbouring fault in the body is mapped as one expects.
# What it costs: retries and circuits that tell a slow server from a broken one count the wrong one: a crashing service is reported as one
#   that answers too late, and callers wait longer.
# Do instead: ask aiohttp itself (ServerDisconnectedError), or take ConnectTimeout of this transport for "could be either".
# Output seen (this script fails when it changes):
#> closed before the answer: httpx: RemoteProtocolError, a time-out: False
#> closed before the answer: httpx-aiohttp: ConnectTimeout, a time-out: True
#> cut in the head: httpx: RemoteProtocolError, a time-out: False
#> cut in the head: httpx-aiohttp: ConnectTimeout, a time-out: True
#> cut in the body: httpx: RemoteProtocolError, a time-out: False
#> cut in the body: httpx-aiohttp: ReadError, a time-out: False
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet httpx-aiohttp==0.2.0 httpx==0.28.1 aiohttp==3.14.5
"$work/venv/bin/python" - >"$work/seen" <<'PY'
import asyncio
import httpx
from httpx_aiohttp import AiohttpTransport
SENT = {
    "closed before the answer": b"",
    "cut in the head": b"HTTP/1.1 200 OK\r\ncontent-",
    "cut in the body": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
}
async def main():
    for kind, content in SENT.items():
        async def answer(reader, writer, content=content):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(content)
            await writer.drain()
            writer.close()
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for name, transport in (("httpx", httpx.AsyncHTTPTransport()), ("httpx-aiohttp", AiohttpTransport())):
            async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
                try:
                    await client.get(f"http://127.0.0.1:{port}/")
                except httpx.HTTPError as error:
                    late = isinstance(error, httpx.TimeoutException)
                    print(f"{kind}: {name}: {type(error).__name__}, a time-out: {late}")
        server.close()
asyncio.run(main())
PY
cat "$work/seen"
sed -n 's/^#> //p' "$0" | diff - "$work/seen"
