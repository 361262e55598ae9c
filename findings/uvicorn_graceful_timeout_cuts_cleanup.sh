#!/usr/bin/env bash
# Library: uvicorn 0.54.0
# Behaviour: when timeout_graceful_shutdown has passed, uvicorn cancels the tasks of the running requests and
#   goes on without waiting for one of them. A request's "finally" that awaits anything (a rollback, the
#   closing line of an audit log) finds the pool already closed by the lifespan's shutdown, and is then not
#   done at all: run() ends its loop, which cancels every task left a SECOND time, inside the cleanup. The log
#   is the same with the cleanup and without: "Cancel 1 running task(s)" and the first CancelledError.
# Why one guesses otherwise: "Server Behavior" of uvicorn's documentation (Graceful Process Shutdown) has "all
#   tasks have run to completion", "Lifespan" draws requests as completed before lifespan.shutdown is sent, and
#   "Settings" says only that after the timeout the server starts terminating requests.
# What it costs: only in the deploy that meets a request longer than the drain: a transaction is left to the
#   database's own timeout, an audit log has an opened line with no closing one.
# Do instead: let the outermost ASGI wrapper keep the set of its running requests and the lifespan's shutdown
#   wait for it (with a bound) BEFORE it closes pools: uvicorn does wait for the lifespan, so the loop's
#   second cancel also moves to after the cleanup.
# Output seen (this script fails when it changes):
#> as it is: request begun; request cancelled; pool closed; cleanup cut off by a second cancel, pool open: False
#> lifespan waits: request begun; request cancelled; cleanup done, pool open: True; pool closed
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet uvicorn==0.54.0
"$work/venv/bin/python" - >"$work/seen" <<'PY'
import asyncio, socket, threading, time, uvicorn
def run(name, lifespan_waits):
    seen, running, pool = [], set(), {"open": True}
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive(), await send({"type": "lifespan.startup.complete"}), await receive()
            if lifespan_waits and running:
                await asyncio.wait(running, timeout=5)
            pool["open"] = False
            seen.append("pool closed")
            return await send({"type": "lifespan.shutdown.complete"})
        running.add(asyncio.current_task())
        seen.append("request begun")
        try:
            await asyncio.sleep(60)  # a long query
        finally:
            seen.append("request cancelled")
            try:
                await asyncio.sleep(0.3)  # the rollback
                seen.append(f"cleanup done, pool open: {pool['open']}")
            except asyncio.CancelledError:
                seen.append(f"cleanup cut off by a second cancel, pool open: {pool['open']}")
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=1, log_level="critical"))
    def client():
        with socket.create_connection(listener.getsockname()) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: app\r\n\r\n")
            while not seen: time.sleep(0.05)
            server.should_exit = True  # what a SIGTERM sets
            done.wait(30)
    done, thread = threading.Event(), threading.Thread(target=client)
    thread.start()
    server.run(sockets=[listener])
    done.set(), thread.join()
    print(f"{name}: " + "; ".join(seen))
run("as it is", False)
run("lifespan waits", True)
PY
cat "$work/seen"
sed -n 's/^#> //p' "$0" | diff - "$work/seen"
