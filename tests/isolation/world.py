"""One gateway with everybody at it: agencies in every relation to a matter, credentials of every role, agreements in every state."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.integration.api.conftest import facility_manifest
from tests.support import documented
from tests.support.gateway import RunningGateway

PROVIDER, CONSUMER, OTHER, WALIDATA, INSPECTORATE = "penyedia", "pemakai", "lain", "diskominfo", "inspektorat"
AGENCIES = (PROVIDER, CONSUMER, OTHER, WALIDATA)
STATES = ("proposed", "approved", "active", "expired", "revoked", "ended", "later", "client")
"""`approved`: by the provider alone; `later`: its first day has not come; `client`: of another client of the consumer."""
PURPOSE = "pelayanan_kesehatan"
WHY = {"Simpul-Purpose": PURPOSE, "X-Road-UserId": "ID198609262015051001", "X-Road-Issue": "RM-1"}
FACILITIES = (
    "kode,nama,jenis,wilayah,email\n"
    "F1,Puskesmas Satu,puskesmas,33.20.01.2001,rahasia-satu@faskes.example\n"
    "F2,Puskesmas Dua,puskesmas,33.20.01.2002,rahasia-dua@faskes.example\n"
    "F3,Klinik Tersaring,klinik,33.20.02.2001,rahasia-tiga@faskes.example\n"
)
SOURCE_SECRET = "rahasia-sumber-penyedia"
NIK = "3320994507850007"
PEOPLE = f"nik,nama,tanggal_lahir,status_dasar\n{NIK},Siti Contoh Aminah,1985-07-05,HIDUP\n"


@dataclass(frozen=True)
class Caller:
    """A role at an agency; nobody where the role is empty."""

    role: str
    agency: str

    def __str__(self) -> str:
        return f"{self.role} of {self.agency}" if self.role else "nobody"


NOBODY = Caller("", "")
CALLERS = (
    NOBODY,
    *(Caller(role, agency) for agency in AGENCIES for role in ("client", "steward", "auditor")),
    Caller("supervisor", INSPECTORATE),
    Caller("admin", WALIDATA),
)


class Asking(httpx.Client):
    """Asks once: what a refusal says is the answer. Every status must be one that the document lists."""

    def request(self, method: str, url: Any, **more: Any) -> httpx.Response:
        """As `httpx.Client` does it."""
        answer = super().request(method, url, **more)
        documented.check(answer.request.method, answer.request.url.raw_path.decode(), answer.status_code)
        return answer


@dataclass
class World:
    """The gateway and who asks it. `names` are what paths are filled with."""

    gateway: RunningGateway
    sessions: dict[Caller, httpx.Client] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    made: list[httpx.Client] = field(default_factory=list)

    def sign_in(self, client: str, secret: str) -> httpx.Client:
        """A session that asks once."""
        self.secrets[client] = secret
        session = self.gateway.session(client, secret)
        asking = Asking(base_url=self.gateway.url, timeout=60.0, trust_env=False, headers=session.headers)
        self.made.append(asking)
        self.secrets[f"token of {client}"] = str(session.headers["authorization"]).split()[1]
        return asking

    def credential(self, role: str, agency: str, name: str = "") -> tuple[str, str]:
        """A new client and its secret."""
        body = {"agency": agency, "role": role, "name": "Uji", "id": name or f"{agency}-{role}"}
        made = self.gateway.admin.post("/v1/clients", json=body).raise_for_status().json()
        return made["client_id"], made["client_secret"]


def terms(agreement: str, **more: Any) -> dict[str, Any]:
    """Terms under which the consumer reads facilities of the provider."""
    return {
        "id": agreement,
        "provider": PROVIDER,
        "consumer": CONSUMER,
        "schema": "fasilitas_kesehatan",
        "fields": ["*"],
        "purposes": [PURPOSE],
        "basis": "PKS uji",
        "valid_from": "2026-01-01",
        "valid_until": "2030-12-31",
        **more,
    }


@contextlib.contextmanager
def opened(folder: Path, **environment: str) -> Iterator[World]:
    """The gateway, furnished and up."""
    gateway = RunningGateway(
        folder / "instance",
        {"SIMPUL_RATE_PER_MINUTE": "1000000", "SIMPUL_AGREEMENT_RATE_PER_MINUTE": "1000000", **environment},
    )
    gateway.init()
    world = World(gateway)
    try:
        gateway.start()
        furnish(world, folder)
        gateway.stop_process()
        expire(gateway.folder, "pks-expired")
        gateway.start()
        world.made.append(Asking(base_url=gateway.url, timeout=60.0, trust_env=False))
        world.sessions[NOBODY] = world.made[0]
        for caller in CALLERS[1:]:
            if caller.role == "admin":
                world.sessions[caller] = world.sign_in(*gateway.credential)
            else:
                world.sessions[caller] = world.sign_in(*world.credential(caller.role, caller.agency))
        yield world
    finally:
        for session in world.made:
            session.close()
        code = gateway.stop()
    assert code == 0


def furnish(world: World, folder: Path) -> None:
    """Datasets of the provider, a draft of its, agreements in all states, and what else stands at the paths."""
    gateway = world.gateway
    (folder / "faskes.csv").write_text(FACILITIES, "utf-8")
    (folder / "penduduk.csv").write_text(PEOPLE, "utf-8")
    for agency in (PROVIDER, CONSUMER, OTHER, INSPECTORATE):
        gateway.agency(agency)
    for name in ("faskes.csv", "penduduk.csv"):
        gateway.upload(PROVIDER, folder / name)
    manifest: dict[str, Any] = facility_manifest("faskes", PROVIDER)
    manifest["fields"] |= {"email_kontak": "email", "kode_wilayah": "wilayah"}
    gateway.publish(manifest)
    for name in ("draf", "draf-lama"):
        draft = {**manifest, "connector": name}
        assert gateway.admin.put(f"/v1/connectors/{name}", json=draft).status_code == 201
    fields = {
        "nik": "nik",
        "nama": "nama",
        "tanggal_lahir": {"from": "tanggal_lahir", "date": "iso"},
        "status_dasar": "status_dasar",
    }
    source = {"kind": "file", "location": "inbox/penduduk.csv"}
    people = {
        "connector": "penduduk",
        "agency": PROVIDER,
        "schema": "penduduk_verifikasi@1",
        "source": source,
        "fields": fields,
    }
    gateway.publish(people)
    world.credential("client", CONSUMER, "pemakai-lainnya")
    for state in STATES:
        more: dict[str, Any] = {"consumer_client": "pemakai-lainnya"} if state == "client" else {}
        if state == "later":
            more["valid_from"] = "2029-01-01"
        gateway.agree(terms(f"pks-{state}", **more), steps={"proposed": 1, "approved": 2}.get(state, 3))
    for state, act in (("revoked", "revoke"), ("ended", "end")):
        done = gateway.steward(PROVIDER).post(f"/v1/agreements/pks-{state}/{act}", json={"reason": "uji"})
        assert done.status_code == 200, done.text
    secret = {"value": SOURCE_SECRET, "agency": PROVIDER}
    assert gateway.admin.put("/v1/secrets/sandi", json=secret).status_code in {200, 201, 204}
    world.names = {
        "agency": PROVIDER, "connector": "faskes", "agreement": "pks-active", "client": "pemakai-lainnya", "schema": "fasilitas-kesehatan",
        "dataset": "faskes", "system": "kemendagri", "code": "33.20", "path": "faskes.csv", "revision": "1", "name": "sandi", "key": "F1",
    }  # fmt: skip


def expire(folder: Path, agreement: str) -> None:
    """Puts the last day of an agreement into the past, as time does."""
    with contextlib.closing(sqlite3.connect(folder / "simpul.db")) as database, database:
        moved = database.execute("UPDATE agreement SET valid_until = '2026-02-01' WHERE id = ?", (agreement,))
        assert moved.rowcount == 1
