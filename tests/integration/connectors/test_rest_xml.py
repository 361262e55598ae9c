"""Services that answer XML: records, what pages them, what is refused; and what `discover` makes of a first answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.connectors.diagnosis import Diagnoses
from app.connectors.requests import ScanRequest
from app.connectors.rest.source import RestSource
from app.connectors.suite import PERSON, opened, read
from app.errors import SimpulError, SourceFormatError, SourceTooLarge
from tests.integration.connectors.test_rest_makes import reading
from tests.support.sources import Answer, SourceServer

XML = {"format": "xml", "record_path": "/data/item"}
ITEM = "<item kode='{at}'><nama>n{at}</nama></item>"


@pytest.fixture
def server() -> Iterator[SourceServer]:
    server = SourceServer()
    yield server
    server.close()


def gives(server: SourceServer, answer: Callable[[dict[str, str]], str]) -> str:
    def sent(query: dict[str, str], _headers: dict[str, str]) -> Answer:
        return 200, "application/xml", answer(query).encode()

    server.routes["/xml"] = sent
    return f"{server.url}/xml"


def items(at: int, to: int) -> str:
    return "".join(ITEM.format(at=one) for one in range(at, to))


async def codes(folder: Path, source: dict[str, Any]) -> list[Any]:
    async with reading(folder, {**XML, **source}) as connector:
        return [row[0] for row in await read(connector, ScanRequest(columns=("@kode",)))]


async def fault(folder: Path, source: dict[str, Any]) -> SimpulError:
    async with reading(folder, {**XML, **source}) as connector:
        with pytest.raises(SimpulError) as caught:
            await read(connector, ScanRequest())
    return caught.value


ALL = [str(at) for at in range(25)]


@pytest.mark.parametrize(
    ("paging", "page"),
    [
        ({"kind": "page", "total": "/data/@total"}, lambda at: f"<data total='25'>{items(at, at + 10)}</data>"),
        ({"kind": "page", "total": "/data/info/jumlah"}, lambda at: f"<data>{items(at, min(at + 10, 25))}<info><jumlah> 25 </jumlah></info></data>"),
        ({"kind": "page", "last": "/data/info/@akhir"}, lambda at: f"<data><info akhir='3'/>{items(at, min(at + 10, 25))}</data>"),
        ({"kind": "page", "more": "/data/lagi"}, lambda at: f"<data><lagi>{'true' if at < 20 else 'false'}</lagi>{items(at, min(at + 10, 25))}</data>"),
        ({"kind": "page", "more": "/data/lagi"}, lambda at: f"<data><lagi>{int(at < 20)}</lagi>{items(at, min(at + 10, 25))}</data>"),
        ({"kind": "page"}, lambda at: f"<data><halaman/>{items(at, min(at + 10, 25))}</data>"),
    ],
)  # fmt: skip
async def test_pages_by_number_end_where_the_answer_says_so(
    server: SourceServer, tmp_path: Path, paging: dict[str, str], page: Callable[[int], str]
) -> None:
    def answer(query: dict[str, str]) -> str:
        at = (int(query["page"]) - 1) * 10
        return page(at).replace(items(20, 30), items(20, 25))

    url = gives(server, answer)
    assert await codes(tmp_path, {"url": url, "paging": paging}) == ALL


async def test_an_atom_feed_is_followed_by_its_next_link(server: SourceServer, tmp_path: Path) -> None:
    def answer(query: dict[str, str]) -> str:
        at = int(query.get("at", "0"))
        links = "<link rel='self' href='/xml'/>" + (f"<link rel='next' href='/xml?at={at + 10}'/>" if at < 20 else "")
        entries = items(at, min(at + 10, 25)).replace("item", "entry")
        return f"<feed xmlns='http://www.w3.org/2005/Atom'>{links}{entries}</feed>"

    url = gives(server, answer)
    paging = {"kind": "next_link", "path": "/feed/link[@rel=next]/@href"}
    assert await codes(tmp_path, {"url": url, "record_path": "/feed/entry", "paging": paging}) == ALL


async def test_a_cursor_stands_in_an_element(server: SourceServer, tmp_path: Path) -> None:
    def answer(query: dict[str, str]) -> str:
        at = int(query.get("cursor", "0000"))
        mark = f"{at + 10:04}" if at < 20 else ""
        return f"<data><mark>{mark}</mark>{items(at, min(at + 10, 25))}</data>"

    paging = {"kind": "cursor", "param": "cursor", "path": "/data/mark"}
    assert await codes(tmp_path, {"url": gives(server, answer), "paging": paging}) == ALL


@pytest.mark.parametrize("total", [("30", "total_not_reached"), ("20", "total_exceeded")])
async def test_a_total_that_is_not_what_came_is_a_fault(
    server: SourceServer, tmp_path: Path, total: tuple[str, str]
) -> None:
    url = gives(server, lambda query: f"<data total='{total[0]}'>{items(0, 25) if query['page'] == '1' else ''}</data>")
    found = await fault(tmp_path, {"url": url, "paging": {"kind": "page", "total": "/data/@total"}})
    assert found.facts["rule"] == total[1]


@pytest.mark.parametrize(
    ("document", "said", "error"),
    [
        ("<!DOCTYPE d [<!ENTITY a 'b'>]><data><item>&a;</item></data>", "document type", SourceFormatError),
        (f"<data><item><nama>{PERSON}</nama></item>", "broken or cut off", SourceFormatError),
        ("<data><baris/></data>", "no element at /data/item; beside it stand baris", SourceFormatError),
        ("<lain><item/></lain>", "no element at /data/item", SourceFormatError),
        (f"<data><item>{'x' * 16_777_217}</item></data>", "16777216 characters", SourceTooLarge),
    ],
)
async def test_what_is_no_such_document_is_told(
    server: SourceServer, tmp_path: Path, document: str, said: str, error: type[SimpulError]
) -> None:
    found = await fault(tmp_path, {"url": gives(server, lambda _: document)})
    assert type(found) is error
    assert said in found.detail
    assert PERSON not in found.detail


async def test_no_records_at_all_are_told_by_a_total_of_0_or_an_empty_list(
    server: SourceServer, tmp_path: Path
) -> None:
    assert await codes(tmp_path, {"url": gives(server, lambda _: "<data/>")}) == []
    paging = {"kind": "page", "total": "/data/total"}
    assert (
        await codes(tmp_path, {"url": gives(server, lambda _: "<data><total>0</total></data>"), "paging": paging}) == []
    )


async def test_two_elements_of_one_name_and_two_namespaces_reject_their_record(
    server: SourceServer, tmp_path: Path
) -> None:
    clash = "<item xmlns:a='a' xmlns:b='b'><a:x>1</a:x><b:x>2</b:x></item>"
    url = gives(server, lambda _: f"<data>{items(0, 2)}{clash}</data>")
    async with reading(tmp_path, {**XML, "url": url}) as connector:
        (batch,) = [batch async for batch in connector.scan(ScanRequest())]
    assert [(reject.rule, reject.location) for reject in batch.rejects] == [("xml_names", "record, record 3")]
    assert len(batch) == 2


async def test_discover_sees_xml_and_where_its_records_are(server: SourceServer, tmp_path: Path) -> None:
    url = gives(server, lambda _: f"<data><meta v='1'/><hasil>{items(0, 3)}</hasil></data>")
    connector = opened(tmp_path, {"kind": "rest", "url": url})
    assert isinstance(connector, Diagnoses)
    found = await connector.diagnose()
    await connector.close()
    assert found.source == {"format": "xml", "record_path": "/data/hasil/item"}
    async with reading(tmp_path, {"url": url, **found.source}) as stated:
        assert [column.name for column in (await stated.discover()).columns] == ["@kode", "nama"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"record_path": "$.data"}, "written /data/item"),
        ({"record_path": "/data/x:item"}, "written /data/item"),
        ({"record_path": "/data/item", "paging": {"preset": "drf"}}, "services that answer JSON"),
        ({"record_path": "/data/item", "paging": {"kind": "page", "total": "$.total"}}, "paging.total: in an answer of format xml"),
        ({"format": "json", "paging": {"kind": "page", "total": "/data/total"}}, "paging.total: in an answer of format json"),
    ],
)  # fmt: skip
def test_paths_are_those_of_the_format(source: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RestSource.model_validate({"url": "https://api.example/x", "format": "xml", **source})
