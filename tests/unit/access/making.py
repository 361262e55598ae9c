"""Rows and snapshots of these tests: hospital `rsud` reads `dukcapil`, some of `dinkes` is internal."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from app.access.agreements import Agreement, State, Terms
from app.access.clients import Client
from app.access.facts import FieldFacts, SchemaFacts
from app.access.principals import Principal, Role
from app.access.purposes import SEED
from app.access.snapshot import AccessSnapshot, make_snapshot

MADE = datetime(2026, 1, 1, tzinfo=UTC)

FACILITIES = SchemaFacts(
    "fasilitas_kesehatan",
    {
        "kode": FieldFacts("terbuka"),
        "nama": FieldFacts("terbuka"),
        "telepon": FieldFacts("internal", "personal"),
        "catatan": FieldFacts("internal"),
    },
    key=("kode",),
)
RESIDENTS = SchemaFacts(
    "penduduk_verifikasi",
    {"nik": FieldFacts("terbatas", "sensitive"), "nama": FieldFacts("terbatas", "personal")},
    key=("nik",),
    lookup_only=True,
    subject="nik",
)


def make_client(client_id: str = "rsud-app", agency: str = "rsud", role: Role = "client", **changes: Any) -> Client:
    members: dict[str, Any] = {
        "id": client_id,
        "agency": agency,
        "role": role,
        "name": "Aplikasi",
        "credential": f"thumb-{client_id}",
        "disabled": False,
        "created_at": MADE,
        "rotated_at": MADE,
        "secret_hash": "unused",
    }
    return Client(**(members | changes))


def make_agreement(agreement_id: str = "pks-1", state: State = "active", **terms: Any) -> Agreement:
    members: dict[str, Any] = {
        "provider": "dukcapil",
        "consumer": "rsud",
        "schema": "penduduk_verifikasi",
        "fields": ("*",),
        "purposes": ("pelayanan_kesehatan",),
        "basis": "UU 17/2023",
        "valid_from": date(2026, 1, 1),
        "valid_until": date(2026, 12, 31),
    }
    return Agreement(agreement_id, Terms(**(members | terms)), state, (), None, MADE, MADE)


def make_state(*agreements: Agreement, clients: tuple[Client, ...] = (), stamp: int = 1) -> AccessSnapshot:
    known = clients or (make_client(), *(make_client(f"rsud-{role}", role=role) for role in OTHER_ROLES))
    return make_snapshot(stamp, known, agreements, SEED)


def caller(role: Role = "client") -> Principal:
    client_id = "rsud-app" if role == "client" else f"rsud-{role}"
    return Principal(client_id, "rsud", role, f"thumb-{client_id}")


OTHER_ROLES: tuple[Role, ...] = ("steward", "auditor", "supervisor", "admin")


class Remembered:
    """What was used once, in memory."""

    def __init__(self) -> None:
        self.used: set[tuple[str, ...]] = set()

    async def use(self, *names: str, until: float) -> bool:
        del until
        new = names not in self.used
        self.used.add(names)
        return new
