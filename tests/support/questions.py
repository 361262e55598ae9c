"""Every door through which records of sources are read, each with a question that asks all datasets of facilities."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

SCHEMA = "/v1/records/fasilitas-kesehatan"
_SQL = {"sql": "SELECT kode_faskes, nama FROM fasilitas_kesehatan"}
_COUNT = {"aggregates": [{"function": "count", "as": "banyak"}], "overlap": "accept"}


@dataclass(frozen=True)
class Door:
    """One question. `key`: it asks for one key of the dataset that misbehaves; `job`: the answer is made in the background."""

    method: str
    path: str
    params: Mapping[str, str] | None = None
    body: Any = None
    job: bool = False

    def headers(self, *, partial: bool) -> dict[str, str]:
        """With what part of an answer it is content."""
        wanted = "partial=allow" if partial else "partial=never"
        return {"prefer": f"respond-async, {wanted}" if self.job else wanted}

    def ask(self, reader: httpx.Client, *, partial: bool = True) -> httpx.Response:
        """The answer as it comes; of a job that it was taken on."""
        headers = self.headers(partial=partial)
        return reader.request(self.method, self.path, params=self.params, json=self.body, headers=headers)


@dataclass(frozen=True)
class Said:
    """What came of a question: the problem's code, the status and code of each dataset, whether it is called complete."""

    status: int
    code: str | None
    sources: Mapping[str, tuple[str, str | None]]
    complete: bool | None
    text: str


def doors(first: str = "A1", later: str = "A3") -> dict[str, Door]:
    """The doors. `first`, `later`: keys of the dataset that misbehaves."""
    return {
        "list": Door("GET", SCHEMA),
        "search": Door("POST", f"{SCHEMA}/search", body={"limit": 100}),
        "look_up": Door("GET", f"{SCHEMA}/{first}"),
        "merged": Door("GET", SCHEMA, {"view": "merged"}),
        "conflicts": Door("GET", f"{SCHEMA}/conflicts"),
        "aggregate": Door("POST", f"{SCHEMA}/aggregate", body=_COUNT),
        "sql": Door("POST", "/v1/queries", body=_SQL),
        "match": Door("POST", f"{SCHEMA}/match", body={"keys": [first, later, "B1"]}),
        "export": Door("GET", SCHEMA, {"f": "ndjson"}),
        "export_job": Door("GET", SCHEMA, {"f": "csv"}, job=True),
        "changes": Door("GET", f"{SCHEMA}/changes"),
    }


DOORS = doors()


def said(reader: httpx.Client, answer: httpx.Response, seconds: float = 20.0) -> Said:
    """What an answer says, or the job that it names when that has ended."""
    if answer.status_code == httpx.codes.ACCEPTED:
        return _of_job(_ended(reader, answer.headers["location"], seconds))
    found: dict[str, Any] = {}
    if "json" in answer.headers["content-type"] and "ndjson" not in answer.headers["content-type"]:
        found = answer.json()
    told = answer.headers.get("simpul-complete")
    complete = None if told is None else told == "?1"
    return Said(answer.status_code, found.get("code"), _sources(found.get("sources") or []), complete, answer.text)


def _ended(reader: httpx.Client, address: str, seconds: float) -> dict[str, Any]:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found: dict[str, Any] = reader.get(address).json()
        if found["state"] not in {"queued", "running"}:
            reader.delete(address)  # a client keeps so many results and no more
            return found
        time.sleep(0.02)
    raise AssertionError(found)


def _of_job(job: dict[str, Any]) -> Said:
    problem = job["problem"] or {}
    complete = (job["result"] or {}).get("complete")
    status = httpx.codes.SERVICE_UNAVAILABLE if job["state"] == "failed" else httpx.codes.OK
    return Said(status, problem.get("code"), _sources(job["sources"]), complete, json.dumps(job))


def _sources(found: list[dict[str, Any]]) -> dict[str, tuple[str, str | None]]:
    return {one["agency"]: (one["status"], (one.get("problem") or {}).get("code")) for one in found}
