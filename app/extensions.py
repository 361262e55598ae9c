"""Kinds and schemas that installed packages bring by entry points: each is taken, or refused with the reason, and harms nobody.

Does not live here: what a kind or a schema has to be (`connectors/registry.py`, `schemas/registry.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Generic, Literal, TypeVar

CONTRACT: Final = 1
"""Version of what a package is written against. Raised when one that fitted the last version no longer fits."""
CONNECTORS: Final = "simpul.connectors"
SCHEMAS: Final = "simpul.schemas"

Fault = Literal["not_loaded", "wrong_object", "contract_version", "name_taken"]
Thing = TypeVar("Thing")


class Unfit(Exception):
    """What an entry point names cannot be taken; `code` says which rule it breaks."""

    def __init__(self, code: Fault, detail: str) -> None:
        super().__init__(detail)
        self.code: Fault = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Extension:
    """An entry point of an installed package, and what became of it: taken where `code` is None."""

    group: str
    name: str
    package: str
    version: str
    code: Fault | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Found(Generic[Thing]):
    """What is taken of a group, by name, and every entry point that was met."""

    things: Mapping[str, Thing]
    extensions: tuple[Extension, ...]

    def refusal(self, name: str) -> str | None:
        """Why what is called so is not there; None where no package brings it."""
        found = [one for one in self.extensions if one.name == name and one.code is not None]
        return "; ".join(f"{one.package} {one.version} brings it, but {one.detail}" for one in found) or None


def find(
    group: str,
    fits: Callable[[str, object], Thing],
    own: Collection[str],
    points: Iterable[EntryPoint] | None = None,
) -> Found[Thing]:
    """Loads what stands under a group. `fits` gives the thing or raises `Unfit`; `own` are the names that are taken already.

    Of two packages with one name neither is taken: which is meant is not known.
    """
    met = sorted(entry_points(group=group) if points is None else points, key=lambda one: (one.name, _package(one)))
    times = Counter(one.name for one in met)
    things: dict[str, Thing] = {}
    extensions: list[Extension] = []
    for point in met:
        try:
            if point.name in own:
                raise Unfit("name_taken", f"{point.name} is one of the gateway's own: give it another name")
            if times[point.name] > 1:
                packages = ", ".join(_package(one) for one in met if one.name == point.name)
                raise Unfit("name_taken", f"several packages bring {point.name} ({packages}): uninstall all but one")
            things[point.name] = fits(point.name, _loaded(point))
        except Unfit as unfit:
            extensions.append(Extension(group, point.name, _package(point), _version(point), unfit.code, unfit.detail))
        else:
            extensions.append(Extension(group, point.name, _package(point), _version(point)))
    return Found(things, tuple(extensions))


def require_contract(stated: object) -> None:
    """Raises `Unfit` where a package was written against another version of the contract, or says none."""
    if stated is None:
        raise Unfit("contract_version", f"it does not state its contract; this gateway's is contract={CONTRACT}")
    if stated != CONTRACT:
        raise Unfit(
            "contract_version",
            f"it is written for contract {stated!r:.40} and this gateway's is {CONTRACT}: install the version that fits",
        )


def told(error: BaseException) -> str:
    """An error of foreign code in one line."""
    first = (str(error).splitlines() or [""])[0][:200]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _loaded(point: EntryPoint) -> object:
    try:
        return point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a package raises when imported concerns it alone
        raise Unfit("not_loaded", f"{point.value} cannot be loaded: {told(error)}") from None


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _version(point: EntryPoint) -> str:
    return point.dist.version if point.dist is not None else ""
