"""`simpul demo`: the main job in one command, on embedded stores, without network."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from app.access.clients import ClientDraft
from app.audit.acts import noted
from app.catalog.code_files import read_code_file
from app.catalog.codes import load_codes
from app.cli.apply import apply_documents, read_documents
from app.cli.demo_sources import DemoService, examples_folder, open_ckan, open_rest, register_database
from app.cli.instance import create_instance, loaded_codes
from app.cli.local import WALIDATA, create_client
from app.cli.output import FINDING, fail, faults, say
from app.cli.remote import Remote
from app.cli.tour import Tour
from app.database import Database
from app.settings import INSTANCE_FILE, Settings, load_settings

DEFAULT_FOLDER = Path(".simpul/demo")
STATE_FILE = "demo.json"
READY_SECONDS = 30
_SIGNERS = ("rsud-steward", "disdukcapil-steward")
"""Who proposes the agreement of the examples, and who signs it for the provider."""
_FILES = {
    "dinkes": "puskesmas.csv",
    "bappeda": "indikator.xlsx",
    "disparbud": "destinasi.json",
    "disdikpora": "sekolah.csv",
    "disperindag": "harga.csv",
}
_REGISTERS = {
    "dinpermades": ("wilayah.csv", "wilayah", "register.db"),
    "disdukcapil": ("penduduk.csv", "penduduk", "penduduk.db"),
}
_ROLE_ORDER = ("rsud-portal", "rsud-simrs", "rsud-auditor", "dinkes-steward", "inspektorat")


def demo(
    folder: Annotated[
        Path, typer.Option("--dir", help="Folder of the demo; a second start goes on with what is there")
    ] = DEFAULT_FOLDER,
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the gateway")] = 8000,
    check: Annotated[bool, typer.Option("--check", help="Run the tour, exit 0 or 1, and stop")] = False,
) -> None:
    """Run the main job: ten agencies, one question, an honest answer, a provable record; then keep serving."""
    with faults():
        good = Demo(folder, host, port).run(check=check)
    if not good:
        raise typer.Exit(FINDING)


class Demo:
    """One run of the demo."""

    def __init__(self, folder: Path, host: str, port: int) -> None:
        self.folder = folder
        self.host = host
        self.port = port
        self.url = f"http://{host}:{port}"
        self.state: dict[str, Any] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *, check: bool) -> bool:
        """True when every step of the tour showed what it should."""
        started = time.monotonic()
        self._instance()
        rest, ckan = open_rest(self.state.get("rest_port", 0)), open_ckan(self.state.get("ckan_port", 0))
        self.state |= {"rest_port": rest.port, "ckan_port": ckan.port}
        try:
            self._serve()
            admin = Remote(self.url, *self.state["admin"])
            self._register(admin, rest, ckan)
            say(f"ten agencies registered in {time.monotonic() - started:.1f} s\n")
            tour = Tour(self.url, self.folder, self.state["clients"], rest)
            good = tour.run()
            self._write_credentials()
            say(f"\nthe tour {'held' if good else 'FOUND FAULTS'}; {time.monotonic() - started:.1f} s in all")
            if not check:
                self._keep_serving()
            return good
        finally:
            self._stop()
            rest.close()
            ckan.close()

    def _instance(self) -> None:
        """The instance: made at the first start, gone on with later."""
        file = self.folder / STATE_FILE
        settings = load_settings(dir=self.folder, base_url=self.url, host=self.host, port=self.port)
        if (self.folder / INSTANCE_FILE).is_file():
            if not file.is_file():
                fail(f"{self.folder} holds an instance that is no demo; choose another --dir")
            self.state = json.loads(file.read_text("utf-8"))
            say(f"going on with the demo in {self.folder}")
            return
        create_instance(settings)
        credential = create_client(settings, ClientDraft(WALIDATA, "admin", "Demo"))
        asyncio.run(_load_codes(settings))
        self.state = {"admin": list(credential), "clients": {}}
        self._save()
        say(f"made an instance in {self.folder}")

    def _save(self) -> None:
        _write_private(self.folder / STATE_FILE, self.state)

    def _serve(self) -> None:
        environment = {**os.environ, "SIMPUL_RATE_PER_MINUTE": "600000", "SIMPUL_BASE_URL": self.url}
        # -P: this gateway's own code, also where the folder it was started in holds another `app`.
        command = [sys.executable, "-P", "-c", "from app.cli.main import main; main()", "serve"]
        command += ["--dir", str(self.folder), "--host", self.host, "--port", str(self.port)]
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603 - our own command
        ends = time.monotonic() + READY_SECONDS
        while time.monotonic() < ends and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/health/ready", trust_env=False).status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        lines = (self.folder / "gateway.log").read_text("utf-8", errors="replace").splitlines()[-3:]
        fail(f"the gateway did not start on port {self.port}; is it in use?\n" + "\n".join(lines))

    def _register(self, admin: Remote, rest: DemoService, ckan: DemoService) -> None:
        """Agencies first, then their files, then the rest: every step may be repeated."""
        documents = list(read_documents(examples_folder()))
        filled = [json.loads(_filled(document, rest.url, ckan.url)) for document in documents]
        agencies = [document for document in filled if document["kind"] == "agency"]
        others = [document for document in filled if document["kind"] not in {"agency", "agreement"}]
        quiet = list[str]()
        apply_documents(admin, agencies, tell=quiet.append)
        self._upload(admin)
        outcome = apply_documents(admin, others, tell=quiet.append)
        self.state["clients"] |= outcome.secrets
        self._save()
        signed = [document for document in filled if document["kind"] == "agreement"]
        for steward in _SIGNERS:  # the admin's own turn is the last one
            apply_documents(Remote(self.url, steward, self.state["clients"][steward]), signed, tell=quiet.append)
        apply_documents(admin, signed, tell=quiet.append)
        for line in quiet:
            say(line)
        if outcome.failed:
            fail(f"not registered: {', '.join(outcome.failed)}", FINDING)

    def _upload(self, admin: Remote) -> None:
        samples = examples_folder() / "data"
        for agency, name in _FILES.items():
            admin.call("PUT", f"/v1/agencies/{agency}/files/{name}", content=(samples / name).read_bytes())
        with tempfile.TemporaryDirectory() as folder:
            for agency, (source, table, name) in _REGISTERS.items():
                body = register_database(source, table, Path(folder) / name)
                admin.call("PUT", f"/v1/agencies/{agency}/files/{name}", content=body)

    def _write_credentials(self) -> None:
        """`credentials.json`: at once when the tour is over."""
        clients = []
        documents = {
            document["id"]: document for document in read_documents(examples_folder()) if document["kind"] == "client"
        }
        for name in _ROLE_ORDER:
            found = documents[name]
            secret = self.state["clients"][name]
            clients.append(
                {"client_id": name, "client_secret": secret, "agency": found["agency"], "role": found["role"]}
            )
        client_id, secret = self.state["admin"]
        clients.append({"client_id": client_id, "client_secret": secret, "agency": WALIDATA, "role": "admin"})
        _write_private(self.folder / "credentials.json", {"base_url": self.url, "clients": clients})

    def _keep_serving(self) -> None:
        say(
            f"\nserving at {self.url}\n  docs        {self.url}/docs\n  reference   {self.url}/redoc\n  ready       {self.url}/health/ready"
        )
        say(f"  credentials {self.folder / 'credentials.json'}")
        width = max(map(len, self.state["clients"]))
        for name, secret in self.state["clients"].items():
            say(f"    {name:<{width}} {secret}")
        say("stop with Ctrl-C")
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            if self.process is not None:
                self.process.wait()
        except KeyboardInterrupt:
            say("stopping")

    def _stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()


def _filled(document: dict[str, Any], rest: str, ckan: str) -> str:
    plain = {name: value for name, value in document.items() if name != "_file"}
    return json.dumps(plain).replace("${REST}", rest).replace("${CKAN}", ckan)


def _write_private(file: Path, document: Any) -> None:
    """A file that only its owner can read; whole or not at all."""
    fresh = file.with_suffix(".part")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=2)
        stream.write("\n")
    shutil.move(fresh, file)


async def _load_codes(settings: Settings) -> None:
    samples = examples_folder() / "data"
    database = Database.open(settings)
    try:
        for name in ("wilayah.csv", "bps_kecamatan.csv"):
            found = await asyncio.to_thread(read_code_file, samples / name)
            async with database.begin() as connection:
                report = await load_codes(connection, found)
                await connection.execute(noted(loaded_codes("simpul demo", samples / name, report)))
    finally:
        await database.close()
