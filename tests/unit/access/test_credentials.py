"""Argon2id of client secrets: parameters, memory of right ones, equal work for unknown clients, a bounded queue."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type

from app.access.clients import Client
from app.access.credentials import REMEMBERED_SECONDS, SecretVerifier, hash_secret
from app.errors import ServerOverloaded
from tests.unit.access.making import make_client

SECRET = "the-secret-of-one-client"


@pytest.fixture(scope="module")
async def client(anyio_backend) -> Client:
    return make_client(secret_hash=await hash_secret(SECRET))


async def test_hashes_are_salted_argon2id_of_19_mib():
    first, second = await hash_secret(SECRET), await hash_secret(SECRET)
    assert first != second
    found = extract_parameters(first)
    assert (found.type, found.memory_cost, found.time_cost, found.parallelism) == (Type.ID, 19_456, 2, 1)


async def test_right_wrong_and_nobody(client: Client):
    verifier = SecretVerifier()
    assert await verifier.verify(client, SECRET)
    assert not await verifier.verify(client, SECRET + "x")
    assert not await verifier.verify(None, SECRET)
    assert not await verifier.verify(replace(client, secret_hash="broken"), "another")


async def test_a_right_secret_is_remembered_for_a_minute_and_for_this_credential_only(client: Client):
    now = [0.0]
    verifier = SecretVerifier(clock=lambda: now[0])
    assert await verifier.verify(client, SECRET)
    unreadable = replace(client, secret_hash="broken")
    assert await verifier.verify(unreadable, SECRET), "from memory: the hash was not looked at"
    assert not await verifier.verify(replace(unreadable, credential="rotated"), SECRET)
    now[0] = REMEMBERED_SECONDS
    assert not await verifier.verify(unreadable, SECRET)


async def test_the_memory_holds_no_secret(client: Client):
    verifier = SecretVerifier()
    await verifier.verify(client, SECRET)
    assert SECRET not in repr(vars(verifier))
    assert client.secret_hash not in repr(client)


async def test_an_unknown_client_costs_what_a_known_one_costs(client: Client):
    verifier = SecretVerifier()

    async def fastest_seconds(holder: Client | None) -> float:
        taken = []
        for attempt in range(5):
            before = time.process_time()
            await verifier.verify(holder, f"wrong-{attempt}")
            taken.append(time.process_time() - before)
        return min(taken)

    known, unknown = await fastest_seconds(client), await fastest_seconds(None)
    assert unknown > known / 3


async def test_the_loop_goes_on_and_the_queue_is_bounded(client: Client):
    verifier = SecretVerifier(waiting=2)
    checks = [asyncio.ensure_future(verifier.verify(client, f"wrong-{number}")) for number in range(4)]
    await asyncio.sleep(0)
    assert not any(check.done() and check.exception() is None for check in checks), "no check ran on the loop itself"
    answers = await asyncio.gather(*checks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [bool, bool, ServerOverloaded, ServerOverloaded]
    assert await verifier.verify(client, SECRET), "and it recovers"
