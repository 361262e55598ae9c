"""What a first answer tells of how a service is read: where its records are, and how it pages. Guesses, tried before they are told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.connectors.diagnosis import Diagnosis, Findings
from app.connectors.http import HttpAnswer
from app.connectors.json_paths import JsonPath, NothingThere
from app.connectors.links import linked, links_at
from app.connectors.record_lists import records_path
from app.connectors.rest.presets import PRESETS
from app.connectors.rest.source import RestSource
from app.errors import SimpulError

_DEPTH = 3
_PLAIN = re.compile(r"[^.\[\]']+")
_ARCGIS = re.compile(r"/(?:Feature|Map)Server/[0-9]+/query/?(?:[?].*)?", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://|[/?]")
_LINKS = frozenset({"next", "nexturl", "nextlink", "nextpage", "nextpageurl", "nexthref", "odatanextlink"})
_CURSORS: Mapping[str, tuple[str, ...]] = {
    "next": ("cursor", "next", "after"),
    "nextcursor": ("cursor", "next_cursor", "after"),
    "cursor": ("cursor",),
    "endcursor": ("after", "cursor"),
    "after": ("after",),
    "nexttoken": ("next_token", "nextToken", "token"),
    "nextpagetoken": ("pageToken", "page_token"),
    "continuation": ("continuation",),
    "continuationtoken": ("continuationToken", "continuation_token"),
}
_TOTALS = frozenset(
    [
        "total",
        "count",
        "totalcount",
        "totalrecords",
        "totalrecord",
        "totalitems",
        "totalelements",
        "recordstotal",
        "totaldata",
        "totalrows",
        "totalhits",
        "totalresults",
        "recordcount",
        "numfound",
        "numbermatched",
        "jumlah",
        "jumlahdata",
    ]
)
_PAGES = frozenset(["page", "currentpage", "pagenumber", "pageno", "pageindex", "halaman"])
_LASTS = frozenset(
    ["lastpage", "totalpages", "totalpage", "pagecount", "pagescount", "numpages", "pages", "jumlahhalaman"]
)
_OFFSETS = frozenset(["offset", "skip", "startindex", "mulai"])


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way in which the service may page. `blind`: nothing but a total speaks for it."""

    paging: Mapping[str, Any]
    why: str
    source: RestSource
    blind: bool = False


def expected(source: RestSource) -> RestSource:
    """The source as its first answer is asked for: a layer of ArcGIS answers nothing but a whole question."""
    if "paging" in source.model_fields_set or _ARCGIS.search(source.url) is None:
        return source
    return _with(source, {"paging": {"preset": "arcgis"}})


def _with(source: RestSource, more: Mapping[str, Any]) -> RestSource:
    stated = {name: getattr(source, name) for name in source.model_fields_set}
    return RestSource.model_validate({**stated, **more})


class Recognition:
    """What was recognised so far."""

    def __init__(self, source: RestSource, document: Any, answer: HttpAnswer) -> None:
        self._source = source
        self._document = document
        self._answer = answer
        self._found = Findings()
        self._members = list(_scalars(document, "$", 0))
        self._path = self._records()
        self._count = _count(document, self._path or source.records)
        self._accepted = False
        self._failed: list[str] = []

    def candidates(self) -> Iterator[Candidate]:
        """Ways of paging, the most telling first; none where the manifest states one."""
        if "paging" in self._source.model_fields_set:
            return
        beside = {} if self._path is None else {"record_path": self._path}
        for paging, why, blind in self._ways():
            preset = PRESETS.get(str(paging.get("preset")))
            own = preset is not None and self._path == preset.record_path
            yield Candidate(paging, why, _with(self._source, {**({} if own else beside), "paging": paging}), blind)

    def accepts(self, candidate: Candidate, second: list[Any] | SimpulError | None) -> bool:
        """Whether the second page, asked for as the candidate says, speaks for it."""
        if isinstance(second, SimpulError):
            if not candidate.blind:
                self._failed.append(f"{_written(candidate.paging)} was tried and failed: {second.detail}")
            return False
        if second is None and candidate.blind:
            return False
        tried = "; the second page was asked for so and holds other records" if second else ""
        self._found.source("paging", dict(candidate.paging), candidate.why + tried)
        self._accepted = True
        if "record_path" not in candidate.source.model_fields_set:
            self._path = None  # that of the preset
        return True

    def diagnosis(self) -> Diagnosis:
        """All of it."""
        if self._path is not None and "record_path" not in self._source.model_fields_set:
            told = records_path(self._document)
            why = told[1] if told is not None and told[0] == self._path else "the records of this make stand there"
            self._found.source("record_path", self._path, why)
        if not self._accepted:
            self._tell_of_more()
        return self._found.diagnosis()

    def _records(self) -> str | None:
        """The path to propose; None where one is stated, or where the document is the list."""
        if "record_path" in self._source.model_fields_set:
            if _count(self._document, self._source.records) is None:
                self._found.note(f"there is nothing at {self._source.records} in the first answer")
            return None
        if self._source.preset is not None and _count(self._document, self._source.records) is not None:
            return None
        make = _make(self._document)
        if make is not None and self._source.preset is None:
            return PRESETS[make[0]].record_path
        told = records_path(self._document)
        return None if told is None or told[0] == "$[*]" else told[0]

    def _ways(self) -> Iterator[tuple[Mapping[str, Any], str, bool]]:
        make = _make(self._document)
        if make is not None:
            yield {"preset": make[0]}, make[1], False
        if self._answer.next_link is not None:
            yield {"kind": "next_link"}, "its Link header names the next page", False
        links = links_at(self._document, "$.links")
        if linked([link for link in links if isinstance(link, Mapping) and "rel" in link]) is not None:
            yield {"kind": "next_link", "path": "$.links[*].href"}, "among its links one has the rel next", False
        total = self._total()
        beside = {} if total is None else {"total": total[0]}
        for path, name, value in self._members:
            href = path.endswith(".next.href")
            if (name in _LINKS or href) and isinstance(value, str) and _ADDRESS.match(value):
                yield (
                    {"kind": "next_link", "path": path, **beside},
                    f"the address of the next page stands at {path}",
                    False,
                )
            elif name in _CURSORS and isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                for param in _CURSORS[name]:
                    yield {"kind": "cursor", "param": param, "path": path, **beside}, f"a mark stands at {path}", False
        yield from self._by_number(beside)

    def _by_number(self, beside: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str, bool]]:
        page, last, offset = (self._number(names) for names in (_PAGES, _LASTS, _OFFSETS))
        ends = {**beside, **({} if last is None else {"last": last[0]})}
        if page is not None or last is not None:
            told = " and ".join(f"{found[0]} is {found[1]}" for found in (page, last) if found is not None)
            first = {"first": 0} if page is not None and page[1] == 0 else {}
            own = () if page is None else (_name(page[0]),)
            for param in dict.fromkeys((*own, "page")):
                yield {"kind": "page", "param": param, **first, **ends}, told, False
        if offset is not None:
            yield {"kind": "offset", "param": _name(offset[0]), **beside}, f"{offset[0]} is {offset[1]}", False
        if beside and self._more_than_read():
            told = f"{beside['total']} is more than the {self._count} records of the first answer"
            yield {"kind": "page", **beside}, told, True
            yield {"kind": "offset", "param": "offset", **beside}, told, True

    def _total(self) -> tuple[str, int] | None:
        """The number of all records, where it is not less than those that came."""
        found = self._number(_TOTALS)
        return found if found is not None and found[1] >= (self._count or 0) else None

    def _number(self, names: frozenset[str]) -> tuple[str, int] | None:
        return next(
            ((path, value) for path, name, value in self._members if name in names and type(value) is int), None
        )

    def _more_than_read(self) -> bool:
        total = self._total()
        return total is not None and self._count is not None and total[1] > self._count

    def _tell_of_more(self) -> None:
        """Where the answer is one page of several, and nothing that is stated or proposed reads the others."""
        for text in self._failed:
            self._found.note(text)
        stated = self._source.paging.resolved()
        if stated.kind != "none":
            return
        total = self._total()
        if self._more_than_read() and total is not None:
            told = f"{total[0]} says {total[1]} records and the first answer gives {self._count}"
            self._found.note(f"{told}: state under paging how the others are asked for")
        elif any(not blind and way.get("kind") in {"next_link", "cursor"} for way, _, blind in self._ways()):
            self._found.note("the answer leads to a next page: state under paging how it is asked for")


def _make(document: Any) -> tuple[str, str] | None:
    """The preset whose members a document has, and which they are."""
    if not isinstance(document, Mapping):
        return None
    has = document.keys()
    if isinstance(document.get("value"), list) and any(name.partition(".")[0] in {"@odata", "odata"} for name in has):
        return "odata", "value and names with odata stand in it, as OData writes them"
    features = document.get("features")
    if isinstance(features, list) and (
        "exceededTransferLimit" in has
        or "objectIdFieldName" in has
        or (features and isinstance(features[0], Mapping) and "attributes" in features[0])
    ):
        return "arcgis", "features with attributes stand in it, as a layer of ArcGIS gives them"
    if isinstance(document.get("results"), list) and {"count", "next", "previous"} <= has:
        return "drf", "count, next, previous and results stand in it, as Django REST framework writes them"
    meta, links = document.get("meta"), document.get("links")
    resource = isinstance(meta, Mapping) and isinstance(links, Mapping) and "current_page" in meta and "next" in links
    if isinstance(document.get("data"), list) and (resource or {"current_page", "next_page_url"} <= has):
        return "laravel", "data, the current page and a link to the next stand in it, as Laravel writes them"
    return None


def _scalars(value: Any, path: str, depth: int) -> Iterator[tuple[str, str, Any]]:
    """Members that hold no others, down to a few levels and not inside of lists: path, name without signs, value."""
    if depth > _DEPTH or not isinstance(value, Mapping):
        return
    for name, inside in value.items():
        if "'" in str(name):
            continue
        here = f"{path}.{name}" if _PLAIN.fullmatch(str(name)) else f"{path}['{name}']"
        if isinstance(inside, Mapping):
            yield from _scalars(inside, here, depth + 1)
        elif not isinstance(inside, list):
            yield here, re.sub(r"[^a-z]", "", str(name).lower()), inside


def _count(document: Any, path: str) -> int | None:
    """How many records stand at a path; None where there is nothing."""
    try:
        return len(JsonPath.parse(path).items(document))
    except NothingThere:
        return None


def _name(path: str) -> str:
    """The member that a path ends at."""
    return str(JsonPath.parse(path).steps[-1])


def _written(paging: Mapping[str, Any]) -> str:
    return "paging: {" + ", ".join(f"{name}: {value}" for name, value in paging.items()) + "}"
