"""The same objects in another make of store (versitygw), which is held to be as strict with signatures and names."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config

from app.connectors.file import KIND
from app.connectors.file.source import FileSource
from app.connectors.requests import ScanRequest
from app.errors import SourceAuthFailed
from tests.support.go_tools import go_program
from tests.support.reading import environment

pytestmark = pytest.mark.external
KEYS = ("simpul-access", "simpul-secret-4f9c1e")


class Keys:
    """Two secrets."""

    def __init__(self, access: str, secret: str) -> None:
        self._known = {"${secret:A}": access, "${secret:S}": secret}

    def resolve(self, text: str) -> str:
        return self._known.get(text, text)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("store")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    around = {**os.environ, "ROOT_ACCESS_KEY": KEYS[0], "ROOT_SECRET_KEY": KEYS[1]}
    command = [go_program("versitygw"), "--quiet", "--port", f"127.0.0.1:{port}", "posix", str(folder)]
    with subprocess.Popen(command, env=around, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
        ends = time.monotonic() + 20
        while time.monotonic() < ends:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        program.terminate()


def opened(root: Path, url: str, key: str, keys: tuple[str, str] = KEYS) -> Any:
    source = FileSource(
        location=f"s3://dinas-data/{key}",
        endpoint=url,
        region="us-east-1",
        access_key="${secret:A}",
        secret_key="${secret:S}",
    )
    return KIND.open(source, replace(environment(root), secrets=Keys(*keys)))


async def test_names_with_every_sign_are_listed_fetched_and_held_to_their_signature(url: str, tmp_path: Path) -> None:
    client = botocore.session.get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id=KEYS[0],
        aws_secret_access_key=KEYS[1],
        config=Config(s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket="dinas-data")
    for month in ("01", "02"):
        client.put_object(
            Bucket="dinas-data", Key=f"data/harga {month}+a(é)&=%.csv", Body=b"a\n" + month.encode() + b"\n"
        )
    one = opened(tmp_path, url, "data/harga {bulan}+a(é)&=%.csv")
    wrong = opened(tmp_path, url, "data/harga 01+a(é)&=%.csv", (KEYS[0], "salah"))
    try:
        found = [batch async for batch in one.scan(ScanRequest())]
        assert [batch.rows for batch in found] == [[("01", "01")], [("02", "02")]]
        assert all(step.error is None for step in await one.check())
        with pytest.raises(SourceAuthFailed, match="SignatureDoesNotMatch"):
            [batch async for batch in wrong.scan(ScanRequest())]
    finally:
        await one.close()
        await wrong.close()
