"""Witnesses of the log: real ones over HTTP on both stores, and every wrong answer that one may give."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.witness_server import witness_app
from app.audit.entry.record import Entry, Gateway, Record, uuid7
from app.audit.keys.files import load_verifier
from app.audit.read.tile_service import covering_checkpoint, served_checkpoint
from app.audit.tlog.checkpoint import Signer
from app.audit.tlog.cosignatures import Cosigner
from app.audit.tlog.merkle import Frontier, leaf_hash
from app.audit.tlog.policy import parse_policy
from app.audit.tlog.proofs import consistency_ranges, proof_hashes
from app.audit.witness import Witness
from app.audit.write.witnessing import WitnessRules
from app.errors import LogBroken, LogUnavailable
from tests.support import programs
from tests.support.ports import free_port

GATEWAY = Gateway("gw-1", "simpul 0.1.0")
OTHER = Gateway("gw-2", "simpul 0.1.0")
COSIGNER = Cosigner("inspektorat.example/w1", bytes([7]) * 32)


def action() -> Record:
    return Record(Entry(xid=uuid7(), kind="admin", gw=GATEWAY, op="connector.publish"))


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[str]:
    """An HTTP server in this process; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def witness_of(instance, folder: Path, cosigner: Cosigner = COSIGNER) -> AsyncIterator[str]:
    """A real witness that knows the log of this instance."""
    key = load_verifier(instance.folder)
    witness = Witness(folder, cosigner, {key.name: key})
    try:
        async with serving(witness_app(witness, cosigner.key.text())) as url:
            yield url
    finally:
        witness.close()


def rules(instance, url: str, *, quorum: str = "w1", failure_seconds: float = 3600.0) -> WitnessRules:
    log = load_verifier(instance.folder).text()
    text = f"log {log}\nwitness w1 {COSIGNER.key.text()} {url}\nquorum {quorum}\n"
    return WitnessRules(parse_policy(text), failure_seconds, 5.0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def cosigned(log, size: int, policy) -> str:
    """The served checkpoint, once it is cosigned over at least `size` entries."""
    async with asyncio.timeout(20):
        while True:
            note = await served_checkpoint(log.reader)
            if policy.cosignatures(note) and policy.open(note).size >= size:
                return note
            await asyncio.sleep(0.02)


async def test_checkpoints_are_cosigned_and_served_with_their_cosignatures(instance, tmp_path_factory):
    folder = tmp_path_factory.mktemp("witness")
    async with witness_of(instance, folder) as url:
        wanted = rules(instance, url)
        for total in (3, 300):
            async with instance.opened(checkpoint_seconds=0.05, witnesses=wanted) as log:
                while log.size() < total:
                    await log.append_many([action() for _ in range(min(50, total - log.size()))])
                    await asyncio.sleep(0.06)
                note = await cosigned(log, total, wanted.policy)
                assert wanted.policy.open(note).size == total
                receipt = await covering_checkpoint(log, log.reader, 1)
                assert wanted.policy.open(receipt.note).size == receipt.size
                assert [(state.witness.name, state.fault) for state in log.witnesses] == [("w1", None)]
                assert log.healthy()
    assert instance.verify().ok


async def test_of_two_replicas_one_publishes_and_the_other_takes_over(postgres):
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(postgres.opened(gateway=GATEWAY, checkpoint_seconds=0.05))
        second = await stack.enter_async_context(postgres.opened(gateway=OTHER, checkpoint_seconds=0.05))
        await second.append(action())
        await until(lambda: second.latest_checkpoint().size == 1 == first.latest_checkpoint().size)
        assert await first._store.replicas.leads()
        assert not await second._store.replicas.leads()
        while not second._publisher._active:  # the first one may be back in the lead before the second looks
            await asyncio.to_thread(
                postgres.rows,
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
                " WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objsubid = 2 AND l.objid = 0"
                " AND NOT EXISTS (SELECT 1 FROM pg_locks k JOIN log_replica r ON k.objid::bigint = r.lock_key & 4294967295"
                " WHERE k.pid = l.pid AND k.objsubid = 1 AND r.replica = $1)",
                OTHER.replica,
            )
            await asyncio.sleep(0.1)
        await second.append(action())
        await until(lambda: second.latest_checkpoint().size >= 2)
    assert postgres.verify().ok
    assert postgres.rows("SELECT count(*), count(DISTINCT size) FROM log_checkpoint")[0][0] >= 2


async def test_a_replica_whose_publisher_is_frozen_steps_in(postgres, monkeypatch):
    async with postgres.opened(gateway=GATEWAY, checkpoint_seconds=0.05) as first:
        first._publisher._stopping.set()  # holds the lead, publishes nothing any more
        await asyncio.gather(*first._publisher._tasks)
        async with postgres.opened(gateway=OTHER, checkpoint_seconds=0.05) as second:
            await second.append(action())
            await until(lambda: second.latest_checkpoint().size >= 1)
            assert not await second._store.replicas.leads()


async def test_hostile_14_a_missing_witness_delays_nothing_until_the_limit_and_then_stops_releases(instance):
    async with instance.opened(checkpoint_seconds=0.05, witnesses=rules(instance, "http://127.0.0.1:9")) as log:
        await log.append(action())
        await until(lambda: log.latest_checkpoint().size == 1 and log.witnesses[0].fault is not None)
        assert "cannot be reached" in log.witnesses[0].fault
        assert (await log.append(action())).idx == 1
    short = rules(instance, "http://127.0.0.1:9", failure_seconds=0.01)
    async with instance.opened(checkpoint_seconds=0.05, witnesses=short) as log:
        await until(lambda: not log.healthy())
        assert "no quorum of witnesses" in log.last_error()
        with pytest.raises(LogUnavailable, match="no quorum"):
            await log.append(action())


async def test_hostile_14_releases_go_on_by_themselves_when_the_witness_is_back(embedded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("witness")
    async with witness_of(embedded, folder) as url:
        pass  # the port is free again
    wanted = rules(embedded, url, failure_seconds=0.01)
    async with embedded.opened(checkpoint_seconds=0.05, witnesses=wanted) as log:
        await log.append(action())
        await until(lambda: not log.healthy())
        log._publisher.witnesses[0].next_try = 0.0
        key = load_verifier(embedded.folder)
        witness = Witness(folder, COSIGNER, {key.name: key})
        port = int(url.rpartition(":")[2])
        app = witness_app(witness, COSIGNER.key.text())
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off"))
        task = asyncio.create_task(server.serve())
        log._publisher.witnesses[0].next_try = 0.0
        await until(log.healthy)
        server.should_exit = True
        await task
        witness.close()


async def test_hostile_06_15_an_older_folder_put_back_is_found_out_by_the_witness(embedded, tmp_path_factory):
    older, folder = tmp_path_factory.mktemp("older"), tmp_path_factory.mktemp("witness")
    async with witness_of(embedded, folder) as url:
        wanted = rules(embedded, url)
        async with embedded.opened(checkpoint_seconds=0.05, witnesses=wanted) as log:
            await log.append(action())
            await cosigned(log, 1, wanted.policy)
        for name in ("log.db", "log.checkpoint"):  # the whole folder: nothing in it contradicts itself
            shutil.copy(embedded.folder / name, older)
        async with embedded.opened(checkpoint_seconds=0.05, witnesses=wanted) as log:
            await log.append_many([action() for _ in range(10)])
            await cosigned(log, 11, wanted.policy)
        for name in ("log.db", "log.checkpoint"):
            shutil.copy(older / name, embedded.folder)
        with pytest.raises(LogBroken, match="a witness cosigned 11 entries, the log has 1"):
            async with embedded.opened(witnesses=wanted):
                pass
        async with embedded.opened():  # without the witness nobody could have told
            pass


async def test_hostile_16_a_witness_that_holds_another_root_stops_the_log(embedded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("witness")
    async with witness_of(embedded, folder) as url:
        wanted = rules(embedded, url)
        async with embedded.opened(checkpoint_seconds=0.05, witnesses=wanted) as log:
            await log.append(action())
            await cosigned(log, 1, wanted.policy)
        for path in embedded.folder.glob("log.*"):
            if path.name not in {"log.vkey", "log.lock"}:
                path.unlink()
        async with embedded.opened(checkpoint_seconds=0.05, witnesses=wanted) as log:  # a new, empty log of this key
            await log.append(action())
            await until(lambda: not log.healthy())
            assert "log_broken" in log.last_error()
            with pytest.raises(LogUnavailable):
                await log.append(action())


def scripted(answer: Callable[[bytes], Response], asked: list[bytes]) -> Starlette:
    async def add_checkpoint(request: Request) -> Response:
        asked.append(await request.body())
        return answer(asked[-1])

    return Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"])])


def sized(text: str) -> Response:
    return Response(text, 409, headers={"content-type": "text/x.tlog.size"})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _: sized("1000000\n"), "a witness cosigned 1000000 entries, the log has"),
        (lambda _: Response("", 409), "another root"),
        (lambda _: sized(""), "another root"),
        (lambda _: Response("bad proof", 422), "does not extend"),
    ],
)
async def test_hostile_15_16_answers_that_stop_the_log(embedded, answer, words):
    asked: list[bytes] = []
    async with serving(scripted(answer, asked)) as url:
        async with embedded.opened(checkpoint_seconds=0.05, witnesses=rules(embedded, url)) as log:
            await log.append(action())
            await until(lambda: not log.healthy())
            assert words in log.last_error()
            with pytest.raises(LogUnavailable):
                await log.append(action())
            count = len(asked)
            await asyncio.sleep(0.5)
            assert len(asked) == count  # an alarm is no reason to ask again and again
            signed = log.latest_checkpoint().size
        assert signed <= 1


ROGUE = Cosigner("inspektorat.example/w1", bytes(32))


def text_of(body: bytes) -> str:
    return body.decode().partition("\n\n")[2].partition("\n\n")[0] + "\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda body: Response(ROGUE.cosign(text_of(body), 1)), "no valid cosignature"),
        (lambda body: Response(COSIGNER.cosign(text_of(body) + "x", 1)), "no valid cosignature"),
        (lambda _: Response("garbage"), "no valid cosignature"),
        (lambda _: Response(base64.b64encode(bytes(100))), "no valid cosignature"),
        (lambda _: Response(b"\xff\xfe\x00"), "no valid cosignature"),
        (lambda _: Response("x" * 4_000_000), "longer than"),
        (lambda body: Response(ROGUE.cosign(text_of(body), 1) * 20), "no valid cosignature"),
        (lambda _: Response("", 500), "does it know the log"),
        (lambda _: Response("", 404), "does it know the log"),
        (lambda _: Response("", 429), "answers 429"),
        (lambda _: Response("", 302, headers={"location": "http://127.0.0.1:9/"}), "answers 302"),
    ],
)
async def test_hostile_17_answers_that_are_ignored(embedded, answer, words):
    asked: list[bytes] = []
    async with (
        serving(scripted(answer, asked)) as url,
        embedded.opened(checkpoint_seconds=0.05, witnesses=rules(embedded, url)) as log,
    ):
        await log.append(action())
        await until(lambda: log.witnesses[0].fault is not None)
        assert words in log.witnesses[0].fault
        assert (await log.append(action())).idx == 1
        assert log.healthy()
        assert "w1" not in wanted_names(await served_checkpoint(log.reader))


def wanted_names(note: str) -> list[str]:
    return [line.split(" ")[1] for line in note.partition("\n\n")[2].splitlines()]


async def test_simpul_witness_serve_cosigns_and_keeps_its_key(embedded, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("witness"), free_port()
    command = [*programs.SIMPUL, "witness", "serve", "--dir", str(folder)]
    command += ["--log", str(embedded.folder / "log.vkey"), "--name", "inspektorat.example/w2", "--port", str(port)]
    log = load_verifier(embedded.folder).text()
    lines = set()
    for total in (1, 2):
        child = programs.start(command, stdout=subprocess.PIPE)
        with child.stdout:
            try:
                word, name, key, url = (await asyncio.to_thread(child.stdout.readline)).decode().split()
                lines.add(f"log {log}\n{word} w2 {key} {url}\nquorum w2\n")
                assert (word, name) == ("witness", "inspektorat.example/w2")
                wanted = WitnessRules(parse_policy(lines.copy().pop()), 3600.0, 5.0)
                await asyncio.to_thread(_reachable, port)
                async with embedded.opened(checkpoint_seconds=0.05, witnesses=wanted) as opened:
                    await opened.append(action())
                    await cosigned(opened, total, wanted.policy)
            finally:
                child.send_signal(signal.SIGTERM)
                child.wait(timeout=20)
    assert len(lines) == 1


def _reachable(port: int) -> None:
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise AssertionError("the witness does not listen")


# --- the witness itself --------------------------------------------------------------------------------------------

LOG = Signer("simpul.jepara.example/log", bytes(range(32)))


def tree(size: int, salt: bytes = b"") -> tuple[bytes, dict[tuple[int, int], bytes]]:
    frontier, stored = Frontier(), {}
    for index in range(size):
        leaf = stored[0, index] = leaf_hash(salt + str(index).encode())
        stored.update({(level, n): value for level, n, value in frontier.append(leaf)})
    return frontier.root(), stored


def submission(
    old: int, size: int, *, signer: Signer = LOG, salt: bytes = b"", proof: list[bytes] | None = None
) -> bytes:
    root, stored = tree(size, salt)
    hashes = proof_hashes(consistency_ranges(min(old, size), size), stored) if proof is None else proof
    lines = "".join(base64.b64encode(value).decode() + "\n" for value in hashes)
    return f"old {old}\n{lines}\n{signer.checkpoint(size, root).note}".encode()


@pytest.fixture
def witness(tmp_path):
    found = Witness(tmp_path, COSIGNER, {LOG.verifier.name: LOG.verifier}, clock=lambda: 1_790_000_000.0)
    yield found
    found.close()


def test_a_witness_cosigns_growth_and_remembers_it(witness, tmp_path):
    for old, size in ((0, 10), (10, 300), (300, 300), (300, 301)):
        answer = witness.add_checkpoint(submission(old, size))
        assert answer.status == 200, answer
        note = submission(old, size).decode().partition("\n\n")[2] + answer.body
        assert COSIGNER.key.find(note).time == 1_790_000_000
    again = Witness(tmp_path, COSIGNER, {LOG.verifier.name: LOG.verifier})
    assert again.add_checkpoint(submission(300, 302)).body == "301\n"
    again.close()


def test_a_witness_refuses_what_is_not_an_extension(witness):
    assert witness.add_checkpoint(submission(0, 300)).status == 200
    stale = witness.add_checkpoint(submission(10, 400))
    assert (stale.status, stale.kind, stale.body) == (409, "text/x.tlog.size", "300\n")
    assert witness.add_checkpoint(submission(300, 400, salt=b"x")).status == 422
    assert witness.add_checkpoint(submission(300, 300, salt=b"x")).status == 422
    assert witness.add_checkpoint(submission(300, 400, proof=[bytes(32)] * 3)).status == 422
    assert witness.add_checkpoint(submission(300, 400, proof=[])).status == 422
    assert witness.add_checkpoint(submission(300, 200)).status == 400
    assert witness.add_checkpoint(submission(300, 400, signer=Signer(LOG.verifier.name, bytes(32)))).status == 403
    assert witness.add_checkpoint(submission(0, 1, signer=Signer("other.example/log", bytes(32)))).status == 404
    assert witness.add_checkpoint(submission(300, 400)).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xff", b"old 0", b"old 00\n\n", b"old -1\n\nx", b"new 0\n\nx",
        submission(0, 3).replace(b"old 0", b"old 0 "),
        submission(2, 3).replace(b"=\n", b"=\r\n", 1),
        submission(0, 3, proof=[bytes(31)]),
        submission(0, 3, proof=[bytes(32)] * 64),
        submission(0, 3).replace(b"\xe2\x80\x94", b"-"),
    ],
)  # fmt: skip
def test_a_witness_refuses_malformed_requests(witness, body):
    assert witness.add_checkpoint(body).status == 400
