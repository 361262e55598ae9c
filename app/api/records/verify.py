"""`POST /v1/records/{schema}/verify`: one person of a personal schema. 403 comes before any look at the values."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Request, Response
from pydantic import Field

from app.api.layer.answers import Answer, Name
from app.api.layer.bodies import answer, purpose_in_body, read_model
from app.api.layer.dependencies import exchange, only_parameters, services
from app.api.layer.formats import only_json
from app.api.layer.resource import EVERYONE, Resource, Rule
from app.api.layer.wire import Day, Wire
from app.api.records import examples as docs
from app.gateway import verification
from app.schemas.registry import SchemaDef


class VerifyBody(Wire):
    """What is asserted about a person. The identifier stands only here, never in an address."""

    nik: Annotated[str, Field(min_length=1, max_length=32, description="NIK, 16 digits", examples=["3320990101900001"])]
    nama: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="Name to compare"
    )
    tanggal_lahir: Day | None = Field(default=None, description="Birth date to compare")
    purpose: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="Instead of Simpul-Purpose")


class VerifyAnswer(Answer):
    """The verdict. No value of the register is shown but the masked name and the basic status."""

    hasil: Literal["cocok", "tidak_cocok", "tidak_ditemukan"]
    per_field: dict[Name, bool]
    nama_tersamar: Name | None
    status_dasar: Name | None


_BODY = {"nik": "3320990101900001", "nama": "Siti Contoh Aminah", "tanggal_lahir": "1990-01-01"}
_ANSWER = {
    "hasil": "cocok",
    "per_field": {"nama": True, "tanggal_lahir": True},
    "nama_tersamar": "S*** C***** A*****",
    "status_dasar": "HIDUP",
}


def verify_routes(routes: Resource, schema: SchemaDef) -> None:
    """Adds the verify route of one personal schema."""

    async def verify_record(request: Request) -> Response:
        state, under_way = services(request), exchange(request)
        only_json(request)
        purpose_in_body(request)
        allowed = verification.authorise(state, under_way, schema)
        only_parameters(request, "f")
        body = read_model(request, VerifyBody)
        asserted = body.model_dump(exclude_none=True)
        verification.check_subject(schema, asserted)
        found = await verification.verify(state, under_way, schema, allowed, asserted)
        return answer(
            VerifyAnswer(
                hasil=found.hasil,
                per_field=dict(found.per_field),
                nama_tersamar=found.nama_tersamar,
                status_dasar=found.status_dasar,
            ),
            headers={"cache-control": "no-store"},
        )

    routes.add(
        "POST",
        f"/{schema.meta.slug}/verify",
        Rule("verify", EVERYONE, "outcome", practice=True, told_as="/v1/records/{schema}/verify"),
        verify_record,
        name=f"verify_{schema.name}",
        summary=f"Verify against {schema.meta.title_en}",
        description="Whether the asserted values are those of the register. Needs an agreement, a purpose, the officer and the "
        "case. Never listed, never cached; every call is recorded with a keyed tag of the person.",
        answer=VerifyAnswer,
        example=_ANSWER,
        body=VerifyBody,
        body_example=_BODY,
        openapi_extra={"parameters": docs.header_parameters(personal=True)},
    )
