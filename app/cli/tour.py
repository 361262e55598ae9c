"""The tour of the demo: eight steps, each with its request and its answer, each checked for what it must show."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import httpx

from app.audit.verify.stored_log import verify_settings
from app.cli.demo_sources import DemoService, examples_folder
from app.cli.output import say
from app.cli.remote import Remote
from app.settings import load_settings

_SHOWN = 600
_CIRCUIT_SECONDS = 45
_PERSON = {"nik": "3320990101900001", "nama": "Siti Contoh Aminah", "tanggal_lahir": "1990-01-01"}
_OFFICER = {"X-Road-UserId": "ID198609262015051001", "X-Road-Issue": "RM-2026-000123"}


class Tour:
    """Walks through the steps over HTTP. `faults` lists what did not show what it should."""

    def __init__(self, url: str, folder: Path, secrets: dict[str, str], rest: DemoService) -> None:
        self._url = url
        self._folder = folder
        self._secrets = secrets
        self._rest = rest
        self._exchanges: list[str] = []
        self.faults: list[str] = []

    def run(self) -> bool:
        """True when every step held."""
        steps: list[tuple[str, Callable[[], None]]] = [
            ("One question to all agencies", self._all_agencies),
            ("One agency is down: an honest answer", self._one_down),
            ("Verification without a purpose is refused", self._refused),
            ("Verification under the agreement", self._verified),
            ("A messy file: rejected records with line and reason", self._messy),
            ("An auditor finds both verifications", self._audited),
            ("The log is verified", self._log_verified),
            ("A tampered copy is detected", self._tampered),
        ]
        for number, (title, step) in enumerate(steps, 1):
            say(f"{number}. {title}")
            step()
            say("")
        self._settle()
        return not self.faults

    def _as(self, client: str) -> Remote:
        return Remote(self._url, client, self._secrets[client])

    def _show(self, request: str, answer: httpx.Response) -> Any:
        say(f"   > {request}")
        text = json.dumps(answer.json(), ensure_ascii=False)
        more = "…" if len(text) > _SHOWN else ""
        exchange = answer.headers.get("exchange-id", "-")
        say(f"   < {answer.status_code}  Exchange-Id {exchange}\n     {text[:_SHOWN]}{more}")
        return answer.json()

    def _expect(self, what: str, holds: object) -> None:
        say(f"   {'ok  ' if holds else 'FAIL'} {what}")
        if not holds:
            self.faults.append(what)

    def _all_agencies(self) -> None:
        portal = self._as("rsud-portal")
        path = "/v1/records/fasilitas-kesehatan?sort=nama&limit=100"
        page = self._show(f"GET {path}", portal.call("GET", path))
        agencies = {item["_source"]["agency"] for item in page["items"]}
        self._expect(
            f"{len(page['items'])} facilities from {', '.join(sorted(agencies))}, complete",
            page["complete"] and len(agencies) > 1,
        )
        regions = portal.call("GET", "/v1/records/wilayah?filter=tingkat%20=%20'kecamatan'").json()["items"]
        self._expect("16 kecamatan from the SQLite register", len(regions) == 16)

    def _one_down(self) -> None:
        portal, path = self._as("rsud-portal"), "/v1/records/fasilitas-kesehatan?limit=3"
        self._rest.up = False
        try:
            page = self._show(f"GET {path}   (the hospital's service is down)", portal.call("GET", path))
            status = {source["agency"]: source["status"] for source in page["sources"]}
            self._expect(
                "the answer says that it is not complete, and who is missing",
                not page["complete"] and status["rsud-kartini"] == "unavailable",
            )
            strict = portal.call("GET", path, ok=(503,), headers={"Prefer": "partial=never"})
            self._expect(
                "with Prefer: partial=never it is refused instead",
                strict.status_code == httpx.codes.SERVICE_UNAVAILABLE,
            )
        finally:
            self._rest.up = True

    def _refused(self) -> None:
        hospital = self._as("rsud-simrs")
        answer = hospital.call(
            "POST", "/v1/records/penduduk-verifikasi/verify", ok=(422,), json=_PERSON, headers=_OFFICER
        )
        problem = self._show("POST /v1/records/penduduk-verifikasi/verify   (no Simpul-Purpose)", answer)
        self._exchanges.append(answer.headers["exchange-id"])
        self._expect("refused: purpose_required", problem["code"] == "purpose_required")
        portal = self._as("rsud-portal").call("POST", "/v1/records/penduduk-verifikasi/verify", ok=(403,), json=_PERSON)
        self._expect(
            "the hospital's other application has no agreement: 403", portal.status_code == httpx.codes.FORBIDDEN
        )

    def _verified(self) -> None:
        headers = {**_OFFICER, "Simpul-Purpose": "pelayanan_kesehatan"}
        answer = self._as("rsud-simrs").call(
            "POST", "/v1/records/penduduk-verifikasi/verify", json=_PERSON, headers=headers
        )
        found = self._show(
            "POST /v1/records/penduduk-verifikasi/verify   (Simpul-Purpose: pelayanan_kesehatan)", answer
        )
        self._exchanges.append(answer.headers["exchange-id"])
        self._expect("cocok, without showing the register", found["hasil"] == "cocok" and "nik" not in found)

    def _messy(self) -> None:
        steward, samples = self._as("dinkes-steward"), examples_folder() / "data"
        path = "/v1/agencies/dinkes/files/puskesmas.csv"
        steward.call("PUT", path, content=(samples / "puskesmas_kotor.csv").read_bytes())
        try:
            page = self._as("rsud-portal").call("GET", "/v1/records/fasilitas-kesehatan?agencies=dinkes").json()
            rejected = page["sources"][0]["rejected_rows"]
            shown = self._show(
                "GET /v1/connectors/dinkes-puskesmas/quarantine",
                steward.call("GET", "/v1/connectors/dinkes-puskesmas/quarantine"),
            )
            rules = {item["rule"] for item in shown["items"]}
            self._expect(
                f"{rejected} records rejected, {len(page['items'])} good ones answered", rejected >= 4 and page["items"]
            )
            self._expect(
                f"each with its line and reason: {', '.join(sorted(rules))}",
                {"ragged_row", "not_a_number", "duplicate_key"} <= rules,
            )
        finally:
            steward.call("PUT", path, content=(samples / "puskesmas.csv").read_bytes())

    def _audited(self) -> None:
        auditor = self._as("rsud-auditor")
        path = "/v1/exchanges?schema=penduduk_verifikasi&kind=outcome&limit=10"
        page = self._show(f"GET {path}", auditor.call("GET", path))
        found = {item["exchange_id"] for item in page["items"]}
        self._expect("the refused and the answered verification are both there", set(self._exchanges) <= found)
        whole = auditor.call("GET", f"/v1/exchanges/{self._exchanges[-1]}").json()
        kinds = [entry["kind"] for entry in whole["entries"]]
        self._expect(
            f"the answered one end to end: {', '.join(kinds)}, each with an inclusion proof",
            kinds == ["intent", "outcome"] and len(whole["proof"]["inclusion"]) == len(kinds),
        )

    def _log_verified(self) -> None:
        say(f"   > simpul log verify --dir {self._folder}")
        found = verify_settings(load_settings(dir=self._folder))
        say(f"   < {found.size} entries, {found.checkpoints_checked} signed checkpoints, root {found.root[:16]}…")
        self._expect("every hash, column, detail and checkpoint fits", found.ok)

    def _tampered(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "copy"
            copy.mkdir()
            for name in ("log.vkey", "instance.json", "log.checkpoint"):
                if (self._folder / name).exists():
                    shutil.copy(self._folder / name, copy)
            source = apsw.Connection(str(self._folder / "log.db"), flags=apsw.SQLITE_OPEN_READONLY)
            target = apsw.Connection(str(copy / "log.db"))
            with target.backup("main", source, "main") as backup:
                backup.step()
            source.close()
            target.execute("DROP TRIGGER log_entry_no_update")
            target.execute(
                "UPDATE log_entry SET entry = CAST(replace(CAST(entry AS TEXT), 'simpul-log', 'simpul-l0g') AS BLOB) WHERE idx = 5"
            )
            target.close()
            say("   > one byte of entry 5 is changed in a copy; simpul log verify --dir COPY")
            found = verify_settings(load_settings(dir=copy))
            say(f"   < first broken index: {found.first_broken_index}; {found.reason}")
            self._expect(
                "the change is found and its index named", not found.ok and found.first_broken_index is not None
            )

    def _settle(self) -> None:
        """Every agency back and every circuit closed before the tour is over."""
        portal, ends = self._as("rsud-portal"), time.monotonic() + _CIRCUIT_SECONDS
        while time.monotonic() < ends:
            if portal.call("GET", "/v1/records/fasilitas-kesehatan?limit=1").json()["complete"]:
                return
            time.sleep(0.5)
        self._expect("every agency answers again", holds=False)
