"""The servers that other tests rely on."""

import psycopg
import pytest


@pytest.mark.parametrize("number", range(4))
def test_each_test_has_an_empty_durable_database_of_its_own(postgres_url: str, number: int):
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE mine (number int)")
        connection.execute("INSERT INTO mine VALUES (%s)", (number,))

        assert connection.execute("SELECT number FROM mine").fetchall() == [(number,)]
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)


async def test_the_event_loop_is_asyncio(anyio_backend_name: str):
    assert anyio_backend_name == "asyncio"
