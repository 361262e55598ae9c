"""The agent's configuration: every mistake at once, each by its key, and no secret in it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.agent.config import Secret, load
from app.agent.faults import AgentFault, ConfigWrong
from app.agent.sample import SAMPLE
from app.agent.times import When

GOOD = """
[gateway]
url = "https://simpul.jepara.go.id/api"
agency = "dinkes"
client_id = "dinkes-agen"
secret_file = "rahasia.txt"
"""
FILE = """
[[schedule]]
name = "faskes"
file = "faskes.csv"
to = "faskes.csv"
every = "15m"
"""


def read(folder: Path, text: str) -> Any:
    (folder / "agen.toml").write_text(text, "utf-8")
    return load(folder / "agen.toml")


def wrong(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigWrong) as caught:
        read(folder, text)
    return caught.value.faults


def test_the_sample_is_a_configuration(tmp_path: Path) -> None:
    found = read(tmp_path, SAMPLE)
    assert [schedule.name for schedule in found.schedules] == ["puskesmas"]
    assert found.state == tmp_path / "agen.state"
    assert found.piece_bytes == 4 << 20


def test_everything_that_the_sample_names_in_comments_is_a_key(tmp_path: Path) -> None:
    lines = [
        line.removeprefix("# ")
        for line in SAMPLE.splitlines()
        if not line.startswith("# What") and "no secret" not in line.lower()
    ]
    text = "\n".join(line for line in lines if line.startswith("[") or " = " in line)
    text = text.replace('secret_file = "rahasia.txt"', "").replace('pick = "newest"', 'pick = "newest"', 1)
    found = read(tmp_path, text)

    assert [schedule.name for schedule in found.schedules] == ["puskesmas", "harga"]
    assert found.gateway.secret == Secret(variable="SIMPUL_AGENT_SECRET")
    assert found.gateway.proxy.port == 3128
    query = found.schedules[1]
    assert (query.when, query.query.timeout) == (When(at=(360,), weekdays=(0, 4)), 600.0)
    assert tomllib.loads(SAMPLE)


def test_all_mistakes_are_told_at_once_by_their_keys(tmp_path: Path) -> None:
    faults = wrong(
        tmp_path,
        """
        gatway = 1
        [gateway]
        url = "http://simpul.jepara.go.id"
        agncy = "dinkes"
        client_secret = "rahasia"
        proxy = "https://nama:sandi@proxy"
        [agent]
        timezone = "Asia/Semarang"
        piece = "1GiB"
        [[schedule]]
        name = "Harga Pasar"
        file = "a.csv"
        query = "DELETE FROM a"
        database = "postgresql://u:sandi@h/d"
        to = "/a.csv"
        every = "15m"
        at = "06:00"
        [[schedule]]
        name = "b"
        file = "b-*.csv"
        pick = "all"
        to = "b.csv"
        at = ["06:00", "25:00"]
        on = "mondey"
        settle = "soon"
        """,
    )
    wanted = {
        "gatway": "gateway", "gateway.url": "https://", "gateway.agncy": "agency", "gateway.client_secret": "no such key",
        "gateway.agency": "missing", "gateway.client_id": "missing", "gateway": "no secret stands in this file",
        "gateway.proxy": "without a name", "agent.timezone": "Asia/Jakarta", "agent.piece": "64KiB",
        "schedule[0].name": "harga-pasar", "schedule[0]": "one of them", "schedule[0].query": "one SELECT",
        "schedule[0].database": "no password", "schedule[0].to": "with /", "schedule[1].to": "{name}",
        "schedule[1].at": "06:00", "schedule[1].on": "monday", "schedule[1].settle": "15m",
    }  # fmt: skip
    told: dict[str, str] = {}
    for fault in faults:
        key, _, text = fault.partition(": ")
        told[key] = f"{told.get(key, '')} {text}"
    assert told.keys() == wanted.keys()
    assert [key for key, text in wanted.items() if text not in told[key]] == []
    assert "sandi" not in "".join(faults)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "schedule"),
        (GOOD, "[[schedule]]"),
        (GOOD + FILE + FILE, "'faskes'"),
        (GOOD + FILE.replace('"15m"', '"5s"'), "at least 10s"),
        (GOOD + FILE.replace('every = "15m"', 'at = "06:00"\nday = 32'), '"last"'),
        (GOOD + FILE.replace('every = "15m"', 'at = "06:00"\nday = 1\non = "monday"'), "one of them"),
        (GOOD + FILE.replace('every = "15m"', 'every = "1d"\non = "monday"'), "goes with at"),
        (GOOD + FILE + 'format = "csv"\n', "goes with query"),
        (GOOD + FILE + 'allow_empty = "yes"\n', "true or false"),
        (GOOD.replace("https", "ftp") + FILE, "address of the gateway"),
        ("schedule = 3\n" + GOOD, "[[schedule]]"),
        ("[gateway", "no TOML"),
        (GOOD + FILE.replace('file = "faskes.csv"', 'query = "SELECT 1"\ndatabase = "oracle://u@h/d"'), "sqlite:///"),
        (
            GOOD + FILE.replace('file = "faskes.csv"', 'query = "SELECT 1"\ndatabase = "mysql://u@h/d?ssl=0"'),
            "behind the name",
        ),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, part: str) -> None:
    assert part in "\n".join(wrong(tmp_path, text))


def test_a_file_that_is_not_there_names_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigWrong, match="simpul agent init"):
        load(tmp_path / "tidak-ada.toml")


def test_http_is_for_this_machine_alone(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD.replace("https://simpul.jepara.go.id/api", "http://127.0.0.1:8000") + FILE)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rahasia.txt"
    file.write_text("rahasia\n", "utf-8")
    file.chmod(0o644)
    with pytest.raises(AgentFault) as caught:
        Secret(file).read()
    assert (caught.value.code, "chmod 600" in caught.value.advice) == ("secret_shared", True)
    file.chmod(0o600)
    assert Secret(file).read() == "rahasia"
    file.write_text("\n", "utf-8")
    for secret in (Secret(file), Secret(tmp_path / "tidak-ada"), Secret(variable="TIDAK_ADA")):
        with pytest.raises(AgentFault, match="secret_missing"):
            secret.read()
