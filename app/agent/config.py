"""The agent's configuration: one TOML file. Every mistake is told at once, with the path of its key; secrets stand elsewhere."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from app.agent.faults import AgentFault, ConfigWrong
from app.agent.times import DAYS, LEAST_EVERY, When, clock, span, zone_of

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
DATABASES = ("sqlite", "postgresql", "mysql")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_PIECE = re.compile(r"(\d{1,4})\s*(KiB|MiB)")
_PIECE_BYTES = (64 << 10, 64 << 20)
_SHARED = 0o077
_SECTIONS = {
    "gateway": ("url", "agency", "client_id", "secret_file", "secret_env", "ca_file", "proxy"),
    "agent": ("state", "timezone", "piece"),
    "schedule": (
        "name", "file", "pick", "settle", "database", "password_file", "password_env", "query", "format", "timeout",
        "allow_empty", "to", "every", "at", "on", "day",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret stands: a file that only its owner reads, or a variable of the environment."""

    file: Path | None = None
    variable: str | None = None

    def read(self) -> str:
        """The secret; raises `AgentFault` naming what to do."""
        if self.variable is not None:
            found = os.environ.get(self.variable, "")
            if not found:
                raise AgentFault(
                    "secret", "secret_missing", f"the variable {self.variable} is not set", "set it for this service",
                    retry="rarely",
                )  # fmt: skip
            return found
        path = self.file or Path()
        try:
            if os.name == "posix" and path.stat().st_mode & _SHARED:
                raise AgentFault(
                    "secret", "secret_shared", f"{path} can be read by others", f"run: chmod 600 {path}", retry="rarely"
                )
            text = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise AgentFault(
                "secret", "secret_missing", f"{path} cannot be read ({type(error).__name__})",
                "write the secret into it, and nothing else", retry="rarely",
            ) from None  # fmt: skip
        if not text:
            raise AgentFault("secret", "secret_missing", f"{path} is empty", "write the secret into it", retry="rarely")
        return text


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where files go, and as whom."""

    url: SplitResult
    agency: str
    client_id: str
    secret: Secret
    ca_file: Path | None
    proxy: SplitResult | None


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT at a database, whose result becomes a file."""

    database: str
    text: str
    format: Literal["csv", "ndjson"]
    timeout: float
    password: Secret | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """What goes where, and when. `file` may be a pattern; `pick` tells which of its files."""

    name: str
    to: str
    when: When
    file: str | None
    pick: Literal["newest", "all"]
    settle: float
    query: Query | None
    allow_empty: bool


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration; relative paths are those of its folder."""

    gateway: Gateway
    schedules: tuple[Schedule, ...]
    state: Path
    zone: tzinfo
    piece_bytes: int


def load(path: Path) -> Config:
    """Reads a configuration; raises `ConfigWrong` with everything that is wrong."""
    try:
        document = tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigWrong([f"{path}: there is no such file; write one with: simpul agent init {path}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigWrong([f"{path}: it cannot be read: {error}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigWrong([f"{path}: it is no TOML: {error}"]) from None
    reader = _Reader(path.resolve().parent)
    return reader.config(document, path)


class _Reader:
    """Reads values and keeps what is wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[str] = []

    def config(self, document: Mapping[str, Any], path: Path) -> Config:
        self._known(document, tuple(_SECTIONS), "")
        gateway = self._gateway(self._table(document, "gateway"))
        own = self._table(document, "agent")
        zone = self._given(own, "agent.timezone", zone_of, "Asia/Jakarta")
        piece = self._given(own, "agent.piece", _piece_bytes, "4MiB")
        listed = document.get("schedule", [])
        schedules: list[Schedule] = []
        if not isinstance(listed, list) or not listed:
            self.faults.append("schedule: there is none; write a table [[schedule]] for each file or query")
        else:
            schedules = [self._schedule(item, f"schedule[{index}]") for index, item in enumerate(listed)]
        names = [schedule.name for schedule in schedules]
        for name in sorted({name for name in names if names.count(name) > 1 and name}):
            self.faults.append(f"schedule: two are named {name!r}; each needs a name of its own")
        state = self.folder / str(own.get("state", f"{path.stem}.state"))
        if self.faults:
            raise ConfigWrong(self.faults)
        return Config(gateway, tuple(schedules), state, zone, piece)

    def _table(self, document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        found = document.get(name, {})
        if not isinstance(found, dict):
            self.faults.append(f"{name}: write a table [{name}]")
            return {}
        self._known(found, _SECTIONS[name], f"{name}.")
        return found

    def _known(self, found: Mapping[str, Any], known: tuple[str, ...], before: str) -> None:
        for key in found:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1, 0.5)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
                self.faults.append(f"{before}{key}: no such key; {hint}")

    def _text(self, found: Mapping[str, Any], path: str, *, needed: bool = True) -> str:
        value = found.get(path.rsplit(".", 1)[1])
        if value is None:
            if needed:
                self.faults.append(f"{path}: it is missing")
            return ""
        if not isinstance(value, str) or not value.strip():
            self.faults.append(f"{path}: write a text that is not empty")
            return ""
        return value.strip()

    def _given(self, found: Mapping[str, Any], path: str, read: Callable[[str], Any], default: str) -> Any:
        text = self._text(found, path, needed=False) or default
        try:
            return read(text)
        except ValueError as error:
            self.faults.append(f"{path}: {error}")
            return read(default)

    def _gateway(self, found: Mapping[str, Any]) -> Gateway:
        url = urlsplit(self._text(found, "gateway.url"))
        if url.geturl() and (url.scheme not in {"http", "https"} or not url.hostname or url.query or url.username):
            self.faults.append("gateway.url: write the address of the gateway, as https://simpul.example.go.id")
        elif url.scheme == "http" and url.hostname not in LOOPBACK:
            self.faults.append("gateway.url: http would send the secret for all to read; write https://…")
        proxy = self._text(found, "gateway.proxy", needed=False)
        through = urlsplit(proxy) if proxy else None
        if through is not None and (through.scheme != "http" or not through.hostname or through.username):
            self.faults.append("gateway.proxy: write http://HOST:PORT, without a name or password")
        return Gateway(
            url=url,
            agency=self._text(found, "gateway.agency"),
            client_id=self._text(found, "gateway.client_id"),
            secret=self._secret(found, "gateway", "secret", needed=True) or Secret(),
            ca_file=self._path(found, "gateway.ca_file"),
            proxy=through,
        )

    def _path(self, found: Mapping[str, Any], path: str) -> Path | None:
        text = self._text(found, path, needed=False)
        return self.folder / text if text else None

    def _secret(self, found: Mapping[str, Any], section: str, name: str, *, needed: bool = False) -> Secret | None:
        file = self._path(found, f"{section}.{name}_file")
        variable = self._text(found, f"{section}.{name}_env", needed=False)
        if (file is None) == (not variable):
            if file is not None or needed:
                self.faults.append(
                    f"{section}: give {name}_file or {name}_env, one of them; no secret stands in this file"
                )
            return None
        return Secret(file, variable or None)

    def _schedule(self, found: Any, path: str) -> Schedule:
        if not isinstance(found, dict):
            self.faults.append(f"{path}: write a table [[schedule]]")
            found = {}
        self._known(found, _SECTIONS["schedule"], f"{path}.")
        name = self._text(found, f"{path}.name")
        if name and not _NAME.fullmatch(name):
            self.faults.append(f"{path}.name: small letters, digits, - and _, at most 63, as harga-pasar")
        file, query = self._text(found, f"{path}.file", needed=False), self._query(found, path)
        if bool(file) == ("query" in found):
            self.faults.append(f"{path}: give file (a path or a pattern) or query (with database), one of them")
        pick = self._choice(found, f"{path}.pick", ("newest", "all"))
        to = self._text(found, f"{path}.to")
        if to and (to.startswith("/") or "\\" in to or ".." in to.split("/")):
            self.faults.append(f"{path}.to: write a path in the inbox with /, as harga/pasar.csv")
        if pick == "all" and to and "{name}" not in to:
            self.faults.append(
                f'{path}.to: with pick = "all" several files would overwrite each other; write {{name}} in it'
            )
        return Schedule(
            name=name,
            to=to.removeprefix("inbox/"),
            when=self._when(found, path),
            file=str(self.folder / file) if file else None,
            pick="all" if pick == "all" else "newest",
            settle=0.0 if found.get("settle") == "0s" else self._given(found, f"{path}.settle", span, "5s"),
            query=query,
            allow_empty=self._flag(found, f"{path}.allow_empty"),
        )

    def _query(self, found: Mapping[str, Any], path: str) -> Query | None:
        text = self._text(found, f"{path}.query", needed=False)
        if not text:
            for key in ("database", "password_file", "password_env", "format", "timeout"):
                if key in found:
                    self.faults.append(f"{path}.{key}: it goes with query, which is missing")
            return None
        for key in ("pick", "settle"):
            if key in found:
                self.faults.append(f"{path}.{key}: it goes with file, and not with query")
        database = self._text(found, f"{path}.database")
        url = urlsplit(database)
        if database and url.scheme not in DATABASES:
            self.faults.append(
                f"{path}.database: write sqlite:///FILE, postgresql://USER@HOST/NAME or mysql://USER@HOST/NAME"
            )
        elif url.query or url.fragment:
            self.faults.append(f"{path}.database: nothing may stand behind the name of the database")
        elif url.password is not None:
            self.faults.append(f"{path}.database: no password stands here; give password_file or password_env")
        elif url.scheme == "sqlite":
            database = f"sqlite:///{self.folder / url.path.removeprefix('/')}"
        if not re.match(r"(?is)\s*(select|with)\b", text):
            self.faults.append(f"{path}.query: write one SELECT")
        return Query(
            database=database,
            text=text.rstrip().removesuffix(";"),
            format="ndjson" if self._choice(found, f"{path}.format", ("csv", "ndjson")) == "ndjson" else "csv",
            timeout=self._given(found, f"{path}.timeout", span, "10m"),
            password=self._secret(found, path, "password"),
        )

    def _choice(self, found: Mapping[str, Any], path: str, allowed: tuple[str, ...]) -> str:
        value = found.get(path.rsplit(".", 1)[1], allowed[0])
        if value not in allowed:
            self.faults.append(f"{path}: write one of {', '.join(allowed)}")
            return allowed[0]
        return str(value)

    def _flag(self, found: Mapping[str, Any], path: str) -> bool:
        value = found.get(path.rsplit(".", 1)[1], False)
        if not isinstance(value, bool):
            self.faults.append(f"{path}: write true or false")
        return value is True

    def _when(self, found: Mapping[str, Any], path: str) -> When:
        if ("every" in found) == ("at" in found):
            self.faults.append(f'{path}: give every = "15m" or at = "06:00", one of them')
            return When(every=3600.0)
        if "every" in found:
            for key in ("on", "day"):
                if key in found:
                    self.faults.append(f"{path}.{key}: it goes with at, and not with every")
            every = self._given(found, f"{path}.every", span, "15m")
            if every < LEAST_EVERY:
                self.faults.append(f"{path}.every: at least {LEAST_EVERY:g}s")
            return When(every=every)
        if "on" in found and "day" in found:
            self.faults.append(f"{path}: give on (days of the week) or day (of the month), one of them")
        times = self._each(found, f"{path}.at", clock)
        weekdays = self._each(found, f"{path}.on", _weekday) if "on" in found else []
        return When(at=tuple(sorted(set(times))), weekdays=tuple(sorted(set(weekdays))), day=self._day(found, path))

    def _each(self, found: Mapping[str, Any], path: str, read: Callable[[str], int]) -> list[int]:
        value = found.get(path.rsplit(".", 1)[1])
        items = value if isinstance(value, list) else [value]
        values = []
        if not items:
            self.faults.append(f"{path}: the list is empty")
        for item in items:
            try:
                values.append(read(item if isinstance(item, str) else ""))
            except ValueError as error:
                self.faults.append(f"{path}: {error}")
        return values

    def _day(self, found: Mapping[str, Any], path: str) -> int | None:
        value = found.get("day")
        if value is None:
            return None
        if value == "last":
            return 32
        if type(value) is not int or not 1 <= value <= 31:
            self.faults.append(f'{path}.day: write 1 to 31, or "last"')
            return 1
        return value


def _weekday(text: str) -> int:
    if text.lower() not in DAYS:
        near = difflib.get_close_matches(text.lower(), DAYS, 1, 0.5)
        raise ValueError(f"no such day; {f'did you mean {near[0]}?' if near else 'write ' + ', '.join(DAYS)}")
    return DAYS.index(text.lower())


def _piece_bytes(text: str) -> int:
    found = _PIECE.fullmatch(text)
    size = int(found[1]) << (10 if found[2] == "KiB" else 20) if found else 0
    if not _PIECE_BYTES[0] <= size <= _PIECE_BYTES[1]:
        raise ValueError("write 64KiB to 64MiB, as 4MiB")
    return size
