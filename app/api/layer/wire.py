"""Wire models of administrative routes, where they differ from what the rooms hold. Unknown members are refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, SkipJsonSchema, models_json_schema
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import DateSchema, DictSchema, FloatSchema, IntSchema, WithDefaultSchema

Slug = Annotated[str, Field(min_length=2, max_length=63, pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Word = Annotated[str, Field(min_length=1, max_length=100)]
Words = Annotated[list[Word], Field(max_length=100)]
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _written_day(value: Any) -> Any:
    if not isinstance(value, str) or _DAY.fullmatch(value) is None:
        raise PydanticCustomError("day_type", "a day is a text as 2026-01-31")
    return value


Day = Annotated[date, Field(strict=False), BeforeValidator(_written_day)]
"""A day as the document has it; numbers and times are none."""
KeyNumber = Annotated[str, Field(min_length=1, max_length=700, pattern=r"^[A-Za-z0-9_-]+$")]
"""A number of a key, in base64url."""
Count = Annotated[int, Field(ge=0, le=9_007_199_254_740_991, json_schema_extra={"format": "int64"})]


class Wire(BaseModel):
    """Members that are not declared are an error, and so is a value of another type: nothing is converted in silence."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, str_strip_whitespace=False, defer_build=True)


class AgencyBody(Wire):
    """A member organisation (OPD)."""

    id: Slug = Field(description="Short name in addresses and entries", examples=["dinkes"])
    name: Text = Field(description="Official name", examples=["Dinas Kesehatan Kabupaten Jepara"])
    name_en: Text | None = Field(default=None, description="English name", examples=["Health Office"])
    member_class: Literal["GOV", "COM", "NGO", "EDU"] = Field(default="GOV", description="X-Road member class")
    contact: Text | None = Field(
        default=None, description="Where to reach the agency", examples=["dinkes@jepara.example"]
    )
    network_allow: list[Word] = Field(
        default_factory=list,
        max_length=100,
        description="Private networks (CIDR) that its sources may stand in, or the only hosts they may name; :port for one port",
        examples=[["10.20.0.0/16"]],
    )
    env_allow: list[Word] = Field(
        default_factory=list, max_length=100, description="Environment names its manifests may use", examples=[[]]
    )


def _given(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError("null_type", "null is no value here; leave the member out")
    return value


GIVEN = AfterValidator(_given)
"""A member that may be absent, but not null."""


class AgencyChange(Wire):
    """What may change of an agency; absent members stay, a null empties what may be empty."""

    name: Annotated[Text | SkipJsonSchema[None], GIVEN] = None
    name_en: Text | None = None
    contact: Text | None = None
    network_allow: Annotated[Words | SkipJsonSchema[None], GIVEN] = None
    env_allow: Annotated[Words | SkipJsonSchema[None], GIVEN] = None
    disabled: Annotated[bool | SkipJsonSchema[None], GIVEN] = None


class PublicKeyBody(Wire):
    """A public key as a JWK (RFC 7517): P-256, Ed25519, or RSA of 2048 to 4096 bits. Never a private one."""

    # Members of private keys reach the room, which names what has to be done about them.
    model_config = ConfigDict(extra="allow")

    kty: Literal["EC", "OKP", "RSA"] = Field(examples=["OKP"])
    crv: Annotated[Literal["P-256", "Ed25519"] | SkipJsonSchema[None], GIVEN] = None
    x: Annotated[KeyNumber | SkipJsonSchema[None], GIVEN] = None
    y: Annotated[KeyNumber | SkipJsonSchema[None], GIVEN] = None
    n: Annotated[KeyNumber | SkipJsonSchema[None], GIVEN] = None
    e: Annotated[KeyNumber | SkipJsonSchema[None], GIVEN] = None
    kid: Annotated[Annotated[str, Field(min_length=1, max_length=128)] | SkipJsonSchema[None], GIVEN] = Field(
        default=None, description="Default: the thumbprint of RFC 7638"
    )
    alg: Annotated[Literal["ES256", "PS256", "EdDSA", "Ed25519"] | SkipJsonSchema[None], GIVEN] = None
    use: Annotated[Literal["sig"] | SkipJsonSchema[None], GIVEN] = None


class ClientBody(Wire):
    """An application of an agency."""

    agency: Slug = Field(examples=["rsud-kartini"])
    role: Literal["client", "steward", "auditor", "supervisor", "admin"] = Field(examples=["client"])
    name: Text = Field(description="What the application is", examples=["SIMRS pendaftaran"])
    id: Slug | None = Field(default=None, description="Client id; made up when absent", examples=["rsud-simrs"])
    keys: list[PublicKeyBody] | None = Field(
        default=None,
        min_length=1,
        max_length=10,
        description="Public keys by which it proves itself, instead of a secret",
    )
    enrol: StrictBool = Field(
        default=False, description="A code by which the agency registers its own key, instead of a secret"
    )
    dpop: StrictBool = Field(default=False, description="Its tokens are bound to a key of its own (RFC 9449), always")


class ClientKeysBody(Wire):
    """The keys of a client, all of them."""

    keys: list[PublicKeyBody] = Field(max_length=10)


class ClientChange(Wire):
    """What may change of a client."""

    disabled: StrictBool
    dpop: Annotated[StrictBool | SkipJsonSchema[None], GIVEN] = Field(
        default=None, description="Whether its tokens must be bound to a key of its own (RFC 9449); absent: as before"
    )


class SecretBody(Wire):
    """A secret of a source. Never shown again."""

    value: Annotated[str, Field(min_length=1, max_length=16384, description="The secret value")]
    agency: Slug | None = Field(default=None, description="Owner; only an admin may name another agency than its own")


class PublishBody(Wire):
    """Which revision to publish."""

    revision: Annotated[int, Field(ge=1, le=2_147_483_647)] | None = Field(
        default=None, description="Default: the latest"
    )
    unchecked: StrictBool = Field(
        default=False, description="Publish although no check has passed (the source is down today)"
    )


class RollbackBody(Wire):
    """Which older revision to activate."""

    revision: Annotated[int, Field(ge=1, le=2_147_483_647)]


MostADay = Annotated[int, Field(ge=1, le=1_000_000_000_000, json_schema_extra={"format": "int64"})]


class QuotaBody(Wire):
    """Most in a day (of the instance's zone) under one agreement, counted over all replicas."""

    requests: MostADay | None = Field(default=None, description="Requests that ask a source", examples=[10_000])
    rows: MostADay | None = Field(default=None, description="Records that leave the gateway", examples=[500_000])
    subjects: MostADay | None = Field(default=None, description="Distinct persons, of schemas about persons")


class AgreementBody(Wire):
    """The terms that a consumer proposes."""

    id: Slug | None = Field(default=None, description="Made up when absent", examples=["pks-dukcapil-rsud"])
    provider: Slug = Field(examples=["disdukcapil"])
    consumer: Slug = Field(examples=["rsud-kartini"])
    consumer_client: Slug | None = Field(default=None, description="Only this client of the consumer")
    schema_name: Word = Field(alias="schema", examples=["penduduk_verifikasi"])
    fields: list[Word] = Field(min_length=1, max_length=200, description='Granted fields, or ["*"]', examples=[["*"]])
    purposes: list[Word] = Field(min_length=1, max_length=50, examples=[["pelayanan_kesehatan"]])
    basis: Text = Field(description="Legal basis", examples=["UU 17/2023 Ps. 173; PKS 400/12/2026"])
    valid_from: Day = Field(examples=["2026-01-01"])
    valid_until: Day = Field(description="Last day, included", examples=["2026-12-31"])
    row_filter: Annotated[str, Field(max_length=2048)] | None = Field(default=None, description="CQL2 over the schema")
    masks: dict[Word, Word] = Field(default_factory=dict, description="Mask per field")
    rights: list[Word] | None = Field(
        default=None,
        max_length=10,
        description="Of `match`, `join` (SQL over more than one table) and `aggregate`. Absent: all of them for a listed schema; "
        "none for one about persons, which knows `match` alone",
        examples=[["match"]],
    )
    quota: QuotaBody | None = Field(default=None, description="Absent: only what the gateway itself limits")
    formats: list[Word] = Field(
        default_factory=list,
        max_length=7,
        description="Of json, ndjson, csv, xlsx, parquet, arrow, geojson; none named: all",
        examples=[["json", "csv"]],
    )
    data_life_days: Annotated[int, Field(ge=1, le=36_500, json_schema_extra={"format": "int32"})] | None = Field(
        default=None, description="How many days the consumer may keep what it got", examples=[90]
    )
    detail_days: Annotated[int, Field(ge=1, le=36_500, json_schema_extra={"format": "int32"})] | None = Field(
        default=None,
        description="How many days the log keeps the details of exchanges under it, within the bounds of the instance; absent: no end",
        examples=[365],
    )
    dpia: Text | None = Field(
        default=None,
        description="Reference of the data protection impact assessment (UU 27/2022)",
        examples=["DPIA-2026-014"],
    )
    renews: Slug | None = Field(default=None, description="The agreement that this one goes on from")


class ReasonBody(Wire):
    """Why an agreement ends."""

    reason: Text = Field(examples=["Kerja sama selesai"])


class _Components(GenerateJsonSchema):
    """A default of null or of an empty list is none: an absent member says the same, and generated clients would send it."""

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        return {name: value for name, value in made.items() if name != "default" or value not in (None, [])}

    def dict_schema(self, schema: DictSchema) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        if "propertyNames" in made:
            made["propertyNames"] = {"type": "string", **made["propertyNames"]}
        return made

    def int_schema(self, schema: IntSchema) -> JsonSchemaValue:
        return {"format": "int32", **super().int_schema(schema)}

    def float_schema(self, schema: FloatSchema) -> JsonSchemaValue:
        return {"format": "double", **super().float_schema(schema)}

    def date_schema(self, schema: DateSchema) -> JsonSchemaValue:
        return {**super().date_schema(schema), "maxLength": 10}


def documents(models: Iterable[type[BaseModel]], mode: JsonSchemaMode = "validation") -> dict[str, Any]:
    """Component schemas of these models and of those within them, by class name."""
    asked: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, mode) for model in models]
    _, made = models_json_schema(asked, ref_template="#/components/schemas/{model}", schema_generator=_Components)
    found: dict[str, Any] = made["$defs"]
    return found
