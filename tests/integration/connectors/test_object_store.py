"""Objects of an S3-compatible store: by signature, as several files, asked for again by ETag, refused with the member that is wrong."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.connectors.contract import RawBatch
from app.connectors.environment import NetworkPolicy
from app.connectors.file import KIND
from app.connectors.file.source import FileSource
from app.connectors.requests import ScanRequest
from app.errors import NetworkForbidden, SourceMissing
from tests.support.object_store import REGION, ObjectStoreServer
from tests.support.reading import environment


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStoreServer]:
    found = ObjectStoreServer()
    found.put("data/harga 01+a.csv", b"komoditas,harga\nBeras,13500\n")
    found.put("data/harga 02+a.csv", b"komoditas,harga\nGula,17000\n")
    found.put("data/lama/harga 03+a.csv", b"komoditas,harga\nTeh,9000\n")
    found.put("data/catatan.csv", b"a\n1\n")
    yield found
    found.close()


class Keys:
    """Two secrets."""

    def __init__(self, access: str, secret: str) -> None:
        self._known = {"${secret:A}": access, "${secret:S}": secret}

    def resolve(self, text: str) -> str:
        return self._known.get(text, text)


def opened(root: Path, store: ObjectStoreServer, key: str, keys: tuple[str, str] | None = None, **more: Any) -> Any:
    source = FileSource.model_validate(
        {
            "location": f"s3://{store.bucket}/{key}",
            "endpoint": store.url,
            "region": REGION,
            "access_key": "${secret:A}",
            "secret_key": "${secret:S}",
            **more,
        }
    )
    around = environment(root)
    return KIND.open(source, replace(around, secrets=Keys(*(keys or store.keys)), **more.pop("around", {})))


async def read(connector: Any) -> list[RawBatch]:
    return [batch async for batch in connector.scan(ScanRequest())]


@pytest.fixture
async def months(store: ObjectStoreServer, tmp_path: Path) -> AsyncIterator[Any]:
    one = opened(tmp_path, store, "data/harga {bulan}+a.csv")
    yield one
    await one.close()


async def test_keys_that_fit_are_one_dataset_with_the_parts_of_their_names(
    months: Any, store: ObjectStoreServer
) -> None:
    before = datetime.now(UTC)
    found = await read(months)

    assert [batch.rows for batch in found] == [[("Beras", "13500", "01")], [("Gula", "17000", "02")]]
    assert found[0].location == f"s3://{store.bucket}/data/harga 01+a.csv"
    assert all(before <= batch.as_of <= datetime.now(UTC) for batch in found)


async def test_what_changes_or_is_added_shows_and_the_rest_is_not_fetched_again(
    months: Any, store: ObjectStoreServer, tmp_path: Path
) -> None:
    first = await months.version()
    copies = {file.name for file in (tmp_path / "copies").iterdir()}
    store.put("data/harga 04+a.csv", b"komoditas,harga\nKopi,5000\n")
    try:
        await asyncio.sleep(1.1)
        assert await months.version() != first
        assert copies < {file.name for file in (tmp_path / "copies").iterdir()}
        (*_, last) = await read(months)
        assert last.rows == [("Kopi", "5000", "04")]
        assert datetime.now(UTC) - last.as_of < timedelta(seconds=1)
    finally:
        store.remove("data/harga 04+a.csv")


async def test_one_object_is_asked_for_again_by_its_etag(store: ObjectStoreServer, tmp_path: Path) -> None:
    store.put("satu.csv", b"a\n1\n")
    one = opened(tmp_path, store, "satu.csv")
    try:
        first = await one.version()
        copies = {file.name for file in (tmp_path / "copies").iterdir()}
        await asyncio.sleep(1.1)
        assert await one.version() == first
        assert {file.name for file in (tmp_path / "copies").iterdir()} == copies
        store.put("satu.csv", b"a\n2\n")
        await asyncio.sleep(1.1)
        assert await one.version() != first
        assert (await read(one))[0].rows == [("2",)]
    finally:
        await one.close()


async def test_a_list_of_several_pages_is_gone_through(store: ObjectStoreServer, tmp_path: Path) -> None:
    for number in range(1_001):
        store.put(f"banyak/lain-{number:04}.txt", b"")
    store.put("banyak/lain-9999.csv", b"a\n1\n")
    one = opened(tmp_path, store, "banyak/lain-*.csv")
    try:
        assert [batch.rows for batch in await read(one)] == [[("1",)]]
    finally:
        await one.close()


@pytest.mark.parametrize(
    ("who", "key", "last", "code", "pointer"),
    [
        ("wrong secret", "data/catatan.csv", "auth", "source_auth_failed", "/source/secret_key"),
        ("nobody", "data/catatan.csv", "auth", "source_auth_failed", "/source/secret_key"),
        ("powerless", "data/catatan.csv", "permission", "source_permission_denied", "/source/location"),
        ("powerless", "data/harga {x}+a.csv", "permission", "source_permission_denied", "/source/location"),
        ("simpul", "data/pergi.csv", "permission", "source_missing", "/source/location"),
        ("simpul", "data/pergi-{x}.csv", "permission", "source_missing", "/source/location"),
    ],
)
async def test_a_check_tells_the_stage_and_the_member(
    store: ObjectStoreServer, tmp_path: Path, who: str, key: str, last: str, code: str, pointer: str
) -> None:
    keys = {
        "simpul": store.keys,
        "powerless": store.powerless,
        "wrong secret": (store.keys[0], "salah"),
        "nobody": ("AKIASALAH", "salah"),
    }[who]
    one = opened(tmp_path, store, key, keys)
    try:
        step = (await one.check())[-1]
    finally:
        await one.close()

    assert step.error is not None
    assert (step.name, step.error.code, step.field) == (last, code, pointer)
    assert not any(part in step.error.detail for part in keys)


async def test_a_check_that_passes_names_its_stages(months: Any) -> None:
    assert [(step.name, step.error) for step in await months.check()] == [
        ("dns", None),
        ("tcp", None),
        ("permission", None),
        ("read", None),
    ]


async def test_a_bucket_that_is_not_there_and_an_endpoint_that_is_not_allowed(
    store: ObjectStoreServer, tmp_path: Path
) -> None:
    gone = opened(tmp_path, store, "a.csv", location="s3://tidak-ada/a.csv")
    private = opened(tmp_path, store, "a.csv", endpoint="http://10.1.2.3:9000")
    closed = opened(tmp_path, store, "a.csv", endpoint="http://127.0.0.1:1")
    try:
        with pytest.raises(SourceMissing, match="NoSuchBucket"):
            await read(gone)
        with pytest.raises(NetworkForbidden):
            await read(private)
        assert [(step.name, step.field) for step in await private.check()] == [("dns", "/source/endpoint")]
        assert [step.name for step in await closed.check()] == ["dns", "tcp"]
    finally:
        for one in (gone, private, closed):
            await one.close()


async def test_hosts_that_the_operator_allowed_hold_for_a_store_too(store: ObjectStoreServer, tmp_path: Path) -> None:
    one = opened(tmp_path, store, "satu.csv")
    narrow = replace(
        one._environment, network=NetworkPolicy(one._environment.network.networks, frozenset({"s3.example.go.id"}))
    )
    held = KIND.open(one._source, narrow)
    try:
        with pytest.raises(NetworkForbidden, match="not on the list of hosts"):
            await read(held)
    finally:
        await one.close()
        await held.close()


def test_a_gateway_without_the_extra_says_what_is_installed(store: ObjectStoreServer, tmp_path: Path) -> None:
    program = f"""
import asyncio, sys
sys.modules["botocore"] = None
from pathlib import Path
from app.connectors.file import KIND
from app.connectors.file.source import FileSource
from tests.support.reading import environment
source = FileSource(location="s3://{store.bucket}/satu.csv", endpoint="{store.url}", region="{REGION}",
                    access_key="${{secret:A}}", secret_key="${{secret:S}}")
step = asyncio.run(KIND.open(source, environment(Path({str(tmp_path)!r}))).check())[-1]
print(step.error.code, step.error.detail)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("source_rejected")
    assert "the operator installs simpul[s3]" in done.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"location": "s3://Bucket/a.csv", "region": "x"}, "s3://bucket/key"),
        ({"location": "s3://bucket/", "region": "x"}, "says no format|s3://bucket/key"),
        ({"location": "s3://bucket/a.csv"}, "needs region"),
        ({"location": "s3://bucket/a.csv", "region": "x", "access_key": "${secret:A}"}, "stand together"),
        (
            {"location": "s3://bucket/a.csv", "region": "x", "access_key": "AKIA", "secret_key": "s"},
            "a secret never stands",
        ),
        ({"location": "s3://bucket/a.csv", "region": "x", "endpoint": "https://h/path"}, "without a path"),
        ({"location": "s3://bucket/a.csv", "region": "x", "host_key": "SHA256:" + "a" * 43}, "host_key does nothing"),
        ({"location": "s3://bucket/{a}/b.csv", "region": "x"}, "stand in the name of the file"),
        ({"location": "inbox/b.csv", "region": "x"}, "region does nothing for this location"),
    ],
)
def test_what_is_no_object_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FileSource.model_validate({"kind": "file", **given})
