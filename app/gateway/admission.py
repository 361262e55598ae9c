"""Who may come in: slots of the process, counted by address before somebody is known and by client afterwards.

A request that is still being read holds no slot of work, so a silent connection keeps nobody out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.errors import ServerOverloaded
from app.federation.reading.bulkhead import Bulkhead


@dataclass(frozen=True, slots=True)
class Admission:
    """`strangers`: public pages and tokens, by address. `reading`: bodies on their way. `working`: requests that are worked on.
    `uploads`: files on their way, which may take an hour.
    """

    strangers: Bulkhead
    reading: Bulkhead
    working: Bulkhead
    uploads: Bulkhead = field(default_factory=lambda: Bulkhead(16))

    @classmethod
    def of(cls, slots: int) -> Admission:
        """For so many requests at once."""
        return cls(Bulkhead(slots), Bulkhead(slots), Bulkhead(slots), Bulkhead(max(2, min(slots // 4, 32))))


def enter(bulkhead: Bulkhead, who: str) -> None:
    """Takes a slot at once; `ServerOverloaded` when there is none for this one. Ends with `bulkhead.leave`."""
    if not bulkhead.enter(who):
        raise ServerOverloaded(
            "all places, or your share of them, are taken; try again in a moment", retry_after_seconds=1
        )
