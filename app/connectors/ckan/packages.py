"""The packages of a whole portal: pages by `package_search`, held against the portal's own count; what their files really are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from app.errors import SourceFailed, SourceFormatError

_MIME_FORMATS: Final = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "text/csv": "CSV",
    "application/pdf": "PDF",
    "application/json": "JSON",
}
_MOST_TOLD = 5
_STATES: Final = ("active", None)


class Harvest:
    """Where one read of a portal's packages stands. One that is private or not active is left out.

    Each page begins with the last package of the page before: where another stands there, packages have moved between the pages.
    """

    def __init__(self) -> None:
        self.start = 0
        """Where the next page begins."""
        self.count = 0
        self.ended = False
        self._came = 0
        self._last: Any = None
        self._page: list[Any] = []
        self._seen: set[str] = set()
        self._hidden = 0

    def page(self, result: Any) -> tuple[list[Any], list[int], list[str]]:
        """The packages of a page that are public, their numbers in the read, and at its end what has to be told of it.

        Raises `SourceFormatError` where the portal contradicts itself, `SourceFailed` where it changed while it was read.
        """
        found = result.get("results") if isinstance(result, Mapping) else None
        count = result.get("count") if isinstance(result, Mapping) else None
        if not isinstance(found, list):
            raise SourceFormatError("package_search gave no list of results", field="/source/url")
        if type(count) is not int or count < 0:
            raise SourceFormatError("package_search does not tell its count", field="/source/url", rule="no_count")
        self.count = count
        new = found
        if self._came:
            if not found or _id(found[0]) != _id(self._last):
                raise _moved()
            new = found[1:]
        if new and new == self._page:
            raise SourceFormatError("the portal gives the same page again and again", field="/source/url")
        self._page = new
        kept = [(number, one) for number, one in enumerate(new, self._came + 1) if self._public(one)]
        self._came += len(new)
        self.start = self._came - 1
        self._last = new[-1] if new else self._last
        self.ended = not new or self._came >= count
        if self.ended:
            self._hold()
        notes = (
            [f"{self._hidden} packages are private or not active, and are left out"]
            if self._hidden and self.ended
            else []
        )
        return [one for _, one in kept], [number for number, _ in kept], notes

    def _public(self, package: Any) -> bool:
        """Whether a package is given: what is none is, to be rejected as such."""
        name = _id(package)
        if name is None:
            return True
        if name in self._seen:
            raise _moved()
        self._seen.add(name)
        hidden = package.get("private") is True or package.get("state") not in _STATES
        self._hidden += hidden
        return not hidden

    def _hold(self) -> None:
        """The read is at its end: as many packages as the portal says that it has must have come."""
        if self._came == self.count:
            return
        detail = f"the portal says that it has {self.count} packages and gave {self._came}"
        rule = "total_not_reached" if self._came < self.count else "total_exceeded"
        raise SourceFormatError(detail, field="/source/url", rule=rule)


def _id(package: Any) -> str | None:
    found = package.get("id") if isinstance(package, Mapping) else None
    return found if isinstance(found, str) else None


def _moved() -> SourceFailed:
    detail = "the portal changed while it was read: packages have moved between its pages; read it again"
    return SourceFailed(detail, field="/source/url", rule="moved_between_pages")


def listed(value: Any) -> list[Any]:
    """A list as it stands, none for what is no list."""
    return value if isinstance(value, list) else []


def described(package: Any) -> Any:
    """A package with what its resources really are: `detected_format` by MIME type and file name, beside the label."""
    if not isinstance(package, dict):
        return package
    resources = []
    for entry in listed(package.get("resources")):
        if isinstance(entry, dict):
            name = str(entry.get("url") or entry.get("name") or "")
            ending = name.rpartition(".")[2].upper() if "." in name.rpartition("/")[2] else None
            guessed = _MIME_FORMATS.get(str(entry.get("mimetype") or ""), ending)
            resources.append({**entry, "detected_format": guessed})
    return {**package, "resources": resources}


def mislabelled(packages: Sequence[Any]) -> Iterator[str]:
    """Which files are not what their label says, as their MIME type or name shows."""
    wrong = [
        f"{entry.get('name')} ({entry['format']}, in truth {entry['detected_format']})"
        for entry in _resources(map(described, packages))
        if entry.get("format") and entry["detected_format"] and str(entry["format"]).upper() != entry["detected_format"]
    ]
    if wrong:
        more = f" and {len(wrong) - _MOST_TOLD} more" if len(wrong) > _MOST_TOLD else ""
        yield f"files of the first packages are not what their label says: {', '.join(wrong[:_MOST_TOLD])}{more}"[
            :2_000
        ]


def _resources(packages: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for package in packages:
        if isinstance(package, Mapping):
            yield from package["resources"]
