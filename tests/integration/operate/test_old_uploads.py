"""Uploads in parts that are not completed are given up, recorded, and gone from the disk; what killed processes left is too."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app.gateway.services import Services
from tests.integration.operate.test_every_setting import At, begin_part, serving, template

__all__ = ["template"]
HOURS = 7300


async def sweep(at: At) -> None:
    """At once, not in a minute."""
    state: Services = at.state
    fresh = type(state.uploads)(at.settings, state.database, state.storage)
    await fresh.sweep(state.log, state.names)


def aged(file: Path) -> None:
    """An upload that began two days ago."""
    state: dict[str, Any] = json.loads(file.read_text("utf-8"))
    state["expires_at"] = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    file.write_text(json.dumps(state), "utf-8")


async def test_what_is_too_old_is_given_up_and_recorded(tmp_path: Path, template: Path) -> None:
    async with serving(tmp_path / "instance", template) as at:
        await at.session("client")
        old, young = [await begin_part(at) for _ in range(2)]
        incoming = at.settings.dir / "agencies" / "dinkes" / "inbox" / ".incoming"
        part = {"content-type": "application/partial-upload", "upload-offset": "0", "upload-complete": "?0"}
        for place in (old, young):
            assert (await at.client.patch(place.headers["location"], content=b"kode", headers=part)).status_code == 204
        aged(incoming / f"{old.json()['id']}.json")
        await sweep(at)

        assert (await at.client.head(old.headers["location"])).status_code == 404
        assert (await at.client.head(young.headers["location"])).headers["upload-offset"] == "4"
        assert sorted(file.stem for file in incoming.iterdir()) == [young.json()["id"]] * 2
        reader = await at.session("supervisor")
        found = (await at.get("/v1/exchanges", params={"op": "file.give_up"}, headers=reader)).json()["items"]
        assert sorted(entry["kind"] for entry in found) == ["admin", "intent"]
        kept = (await at.get(f"/v1/exchanges/{found[0]['exchange_id']}", headers=reader)).json()["entries"]
        assert kept[1]["status"] == 410
        assert kept[1]["client"]["client"] == old.json()["client"]
        assert kept[0]["detail"]["upload"] | {"began_at": ""} == {
            "id": old.json()["id"], "path": "a.csv", "bytes": 4, "began_at": "",
        }  # fmt: skip


async def test_what_a_killed_process_left_is_removed(tmp_path: Path, template: Path) -> None:
    async with serving(tmp_path / "instance", template) as at:
        await at.session("client")
        open_one = await begin_part(at)
        incoming = at.settings.dir / "agencies" / "dinkes" / "inbox" / ".incoming"
        left = [incoming / name for name in ("0f" * 16, f"{'1e' * 16}.part", f"{'2d' * 16}.new")]
        for file in left:
            file.write_bytes(b"x")
        fresh = incoming / ("3c" * 16)
        fresh.write_bytes(b"x")
        for file in (*left, incoming / f"{open_one.json()['id']}.part"):
            os.utime(file, (file.stat().st_mtime - HOURS,) * 2)
        await sweep(at)

        assert [file.exists() for file in left] == [False, False, False]
        assert fresh.exists()
        assert (await at.client.head(open_one.headers["location"])).status_code == 200


async def test_an_upload_without_its_bytes_is_none(tmp_path: Path, template: Path) -> None:
    async with serving(tmp_path / "instance", template) as at:
        await at.session("client")
        place = await begin_part(at)
        incoming = at.settings.dir / "agencies" / "dinkes" / "inbox" / ".incoming"
        (incoming / f"{place.json()['id']}.part").unlink()

        assert (await at.client.get(place.headers["location"])).json()["code"] == "upload_unknown"
        assert list(incoming.iterdir()) == []


async def test_open_uploads_have_the_space_of_their_agency(tmp_path: Path, template: Path) -> None:
    async with serving(tmp_path / "instance", template, agency_file_bytes=2000) as at:
        await at.session("client")
        path = "/v1/agencies/dinkes/files/a.csv"
        known = {"upload-complete": "?0", "upload-length": "1500"}
        assert (await at.client.post(path, headers=known)).status_code == 201
        assert (await at.client.post(path, headers=known)).json()["code"] == "quota_exceeded"
        unknown = await begin_part(at)
        part = {"content-type": "application/partial-upload", "upload-offset": "0", "upload-complete": "?0"}
        refused = await at.client.patch(unknown.headers["location"], content=b"x" * 600, headers=part)
        assert refused.json()["code"] == "quota_exceeded"
        large = {"upload-complete": "?0", "upload-length": str(at.settings.upload_bytes + 1)}
        refused = await at.client.post(path, headers=large)
        assert (refused.status_code, refused.headers["upload-limit"].split(",")[0]) == (
            413, f"max-size={at.settings.upload_bytes}",
        )  # fmt: skip
