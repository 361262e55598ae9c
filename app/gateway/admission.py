"""Who may come in: places of the process, counted by address before somebody is known and by client afterwards.

A request that is still being read holds no place of work, so a silent connection keeps nobody out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.errors import ServerOverloaded
from app.federation.reading.shares import FairPlaces


@dataclass(frozen=True, slots=True)
class Admission:
    """`strangers`: public pages and tokens, by address. `reading`: bodies on their way. `working`: requests that are worked on.
    `uploads`: files on their way, which may take an hour.
    """

    strangers: FairPlaces
    reading: FairPlaces
    working: FairPlaces
    uploads: FairPlaces = field(default_factory=lambda: FairPlaces(16))

    @classmethod
    def of(cls, places: int) -> Admission:
        """For so many requests at once."""
        return cls(FairPlaces(places), FairPlaces(places), FairPlaces(places), FairPlaces(max(2, min(places // 4, 32))))


def enter(places: FairPlaces, who: str) -> None:
    """Takes a place at once; `ServerOverloaded` when there is none for this one. Ends with `places.leave`."""
    if not places.enter(who):
        raise ServerOverloaded(
            "all places, or your share of them, are taken; try again in a moment", retry_after_seconds=1
        )
