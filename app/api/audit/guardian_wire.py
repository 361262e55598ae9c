"""Wire models of those who guard the log: erasures, legal holds, questions about one person."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool

from app.api.layer.answers import Answer, Id, Name
from app.api.layer.wire import Slug, Text, Wire, Word

Moment = Annotated[str, Field(max_length=64, description="A day of the instance's zone, or a time with its zone")]


class SubjectBody(Wire):
    """A person. The identifier stands only here, never in an address, and is kept as a keyed tag only."""

    id_type: Word = Field(description="Kind of identifier", examples=["nik"])
    value: Annotated[str, Field(min_length=1, max_length=64, repr=False)] = Field(examples=["3320990101900001"])


class RangeBody(Wire):
    """Entries of a time, and of an agreement, provider or schema; what is absent means any."""

    from_: Moment | None = Field(default=None, alias="from", examples=["2026-01-01"])
    to: Moment | None = Field(default=None, examples=["2026-01-31"])
    agreement: Word | None = Field(default=None, examples=["pks-dukcapil-rsud"])
    provider: Slug | None = None
    schema_name: Word | None = Field(default=None, alias="schema")


class HoldBody(Wire):
    """What must not be erased: a person, or a range."""

    subject: SubjectBody | None = None
    range: RangeBody | None = None
    basis: Text = Field(description="Legal basis", examples=["Penyidikan LP/B/120/XI/2026"])
    reference: Text = Field(description="Case or letter", examples=["B-120/2026"])


class ErasureBody(HoldBody):
    """What is to be erased, and why."""

    trail: StrictBool = Field(
        default=False,
        description="The subject tags go too: nobody can find afterwards who received data about the person",
    )


class SubjectUsageBody(Wire):
    """Who received data about this person."""

    subject: SubjectBody
    from_: Moment | None = Field(default=None, alias="from", examples=["2026-01-01"])
    to: Moment | None = Field(default=None)
    limit: Annotated[int, Field(ge=1, le=1000)] = Field(default=100)
    cursor: Annotated[str, Field(max_length=2048)] | None = Field(default=None)


class IncidentBody(Wire):
    """What was touched: by a client (and one credential of it) or through a connector, in a window."""

    title: Text = Field(examples=["Kredensial SIMRS bocor"])
    client: Word | None = Field(default=None, examples=["rsud-simrs"])
    credential: Word | None = Field(default=None, description="Thumbprint of one credential of the client")
    connector: Slug | None = None
    from_: Moment = Field(alias="from", examples=["2026-11-01"])
    to: Moment = Field(examples=["2026-11-20"])
    known_at: Moment = Field(description="When the failure became known", examples=["2026-11-21T08:00:00+07:00"])


class IncidentChange(Wire):
    """The next state of an incident."""

    state: Literal["notified", "closed"]


class ActorAnswer(Answer):
    """Who took a step: an agency, by one of its clients."""

    agency: Id
    client: Name


SUBJECT: dict[str, Any] = {"id_type": "nik", "value": "3320990101900001"}
