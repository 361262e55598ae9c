"""Everything a decision looks at, in memory and immutable; loaded again when the change stamp `access` moved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.agreements import Agreement, list_agreements
from app.access.clients import Client, list_clients
from app.access.people.accounts import PREFIX, Person, list_people
from app.access.principals import Principal
from app.access.purposes import Purpose, list_purposes
from app.access.tables import ACCESS_TOPIC
from app.database import read_stamps


@dataclass(frozen=True, slots=True, eq=False)
class AccessSnapshot:
    """Clients, people, agreements and purposes at one stamp."""

    stamp: int
    clients: Mapping[str, Client] = field(default_factory=dict)
    agreements: Mapping[str, Agreement] = field(default_factory=dict)
    purposes: Mapping[str, Purpose] = field(default_factory=dict)
    by_dataset: Mapping[tuple[str, str, str], tuple[Agreement, ...]] = field(default_factory=dict)
    """Agreements in every state by (schema, provider, consumer agency), by id."""
    people: Mapping[str, Person] = field(default_factory=dict)
    """By the name under which they stand in entries (`person:` and the id)."""

    def enabled(self, principal: Principal) -> bool:
        """Whether the client or person is still there, is enabled, and of the agency and role that it had."""
        held = self.people if principal.kind == "person" else self.clients
        found: Client | Person | None = held.get(principal.client_id)
        if found is None or found.disabled:
            return False
        return (found.agency, found.role) == (principal.agency, principal.role)

    def held(self, principal: Principal, schema: str, provider: str) -> tuple[Agreement, ...]:
        """The principal's agreements with this provider over this schema, whatever their state."""
        found = self.by_dataset.get((schema, provider, principal.agency), ())
        return tuple(agreement for agreement in found if agreement.concerns(principal))

    def usable(self, principal: Principal, today: date) -> list[Agreement]:
        """The agreements that the principal may read under today, by id; none but for role client."""
        if principal.role != "client":
            return []
        return [
            agreement
            for agreement in self.agreements.values()
            if agreement.concerns(principal) and agreement.state_on(today) == "active"
        ]

    def without(self, agencies: Collection[str]) -> AccessSnapshot:
        """The same while these agencies are disabled: their clients are, and no agreement of theirs grants anything."""
        if not agencies:
            return self
        clients = {
            name: replace(client, disabled=True) if client.agency in agencies else client
            for name, client in self.clients.items()
        }
        agreements = [
            agreement
            for agreement in self.agreements.values()
            if agreement.terms.provider not in agencies and agreement.terms.consumer not in agencies
        ]
        people = [replace(one, disabled=True) if one.agency in agencies else one for one in self.people.values()]
        return make_snapshot(self.stamp, clients.values(), agreements, self.purposes.values(), people)


def make_snapshot(
    stamp: int,
    clients: Iterable[Client],
    agreements: Iterable[Agreement],
    purposes: Iterable[Purpose],
    people: Iterable[Person] = (),
) -> AccessSnapshot:
    """A snapshot of these rows."""
    ordered = sorted(agreements, key=lambda agreement: agreement.id)
    by_dataset: defaultdict[tuple[str, str, str], list[Agreement]] = defaultdict(list)
    for agreement in ordered:
        terms = agreement.terms
        by_dataset[(terms.schema, terms.provider, terms.consumer)].append(agreement)
    return AccessSnapshot(
        stamp=stamp,
        clients={client.id: client for client in clients},
        agreements={agreement.id: agreement for agreement in ordered},
        purposes={purpose.code: purpose for purpose in purposes},
        by_dataset={dataset: tuple(held) for dataset, held in by_dataset.items()},
        people={PREFIX + person.id: person for person in people},
    )


async def load_snapshot(connection: AsyncConnection) -> AccessSnapshot:
    """The present snapshot. The stamp is read first: a change in between makes the next look load it again."""
    stamp = (await read_stamps(connection)).get(ACCESS_TOPIC, 0)
    return make_snapshot(
        stamp,
        await list_clients(connection),
        await list_agreements(connection),
        await list_purposes(connection),
        await list_people(connection),
    )
