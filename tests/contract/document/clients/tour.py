"""Calls of the tour through the client that openapi-python-client makes: one JSON line a call."""

from __future__ import annotations

import json
import os
from typing import Any, TypeVar

from simpul_client.api.access import issue_token
from simpul_client.api.audit import get_exchange
from simpul_client.api.catalogue import list_schemas
from simpul_client.api.queries import query_records
from simpul_client.api.records import (
    aggregate_fasilitas_kesehatan,
    explain_question,
    get_fasilitas_kesehatan,
    list_fasilitas_kesehatan,
    search_fasilitas_kesehatan,
)
from simpul_client.client import AuthenticatedClient, Client
from simpul_client.models.aggregate_body import AggregateBody
from simpul_client.models.exchange_answer import ExchangeAnswer
from simpul_client.models.explain_body import ExplainBody
from simpul_client.models.explanation import Explanation
from simpul_client.models.fasilitas_kesehatan_page import FasilitasKesehatanPage
from simpul_client.models.groups_answer import GroupsAnswer
from simpul_client.models.measure import Measure
from simpul_client.models.measure_function import MeasureFunction
from simpul_client.models.problem import Problem
from simpul_client.models.query_answer import QueryAnswer
from simpul_client.models.query_body import QueryBody
from simpul_client.models.schemas_answer import SchemasAnswer
from simpul_client.models.search_body import SearchBody
from simpul_client.models.token_answer import TokenAnswer
from simpul_client.models.token_body import TokenBody
from simpul_client.types import Unset

URL = os.environ["SIMPUL_URL"]
Found = TypeVar("Found")


def tell(call: str, got: Any) -> None:
    print(json.dumps([call, got]), flush=True)  # noqa: T201 - the test reads it


def typed(kind: type[Found], answer: object) -> Found:
    assert isinstance(answer, kind), answer
    return answer


def signed_in(name: str) -> tuple[AuthenticatedClient, TokenAnswer]:
    client, secret = os.environ[f"SIMPUL_{name}"], os.environ[f"SIMPUL_{name}_SECRET"]
    body = TokenBody("client_credentials", client_id=client, client_secret=secret)
    token = typed(TokenAnswer, issue_token.sync(client=Client(URL), body=body))
    return AuthenticatedClient(URL, token.access_token), token


def keys(page: FasilitasKesehatanPage) -> list[str]:
    found = []
    for record in page.items:
        assert not isinstance(record.field_source, Unset)
        found.append(record.field_source.id)
    return found


def main() -> None:
    portal, token = signed_in("CLIENT")
    tell("token", [token.token_type, token.expires_in])

    schemas = typed(SchemasAnswer, list_schemas.sync(client=portal))
    tell("schemas", [[item.name, item.version] for item in schemas.items])

    listed = list_fasilitas_kesehatan.sync_detailed(client=portal, filter_="kode_wilayah='33.20.10'", sort="nama")
    page = typed(FasilitasKesehatanPage, listed.parsed)
    tell("list", [keys(page), page.complete, page.next_cursor, [source.status.value for source in page.sources]])

    asked = SearchBody(filter_={"op": "=", "args": [{"property": "rawat_inap"}, True]}, sort=["nama"], limit=5)
    tell("search", keys(typed(FasilitasKesehatanPage, search_fasilitas_kesehatan.sync(client=portal, body=asked))))

    one = typed(FasilitasKesehatanPage, get_fasilitas_kesehatan.sync(keys(page)[0], client=portal)).items[0]
    tell("lookup", [one.nama, None if isinstance(one.field_source, Unset) else one.field_source.agency])

    count = Measure(MeasureFunction.COUNT, as_="n")
    groups = typed(
        GroupsAnswer,
        aggregate_fasilitas_kesehatan.sync(client=portal, body=AggregateBody([count], group_by=["jenis"])),
    )
    tell("aggregate", sorted([group["jenis"], group["n"]] for group in groups.items))

    sql = "SELECT jenis, count(*) AS n FROM fasilitas_kesehatan GROUP BY jenis ORDER BY jenis"
    rows = typed(QueryAnswer, query_records.sync(client=portal, body=QueryBody(sql)))
    tell("sql", [[column.name for column in rows.columns], [[row["jenis"], row["n"]] for row in rows.items]])

    question = ExplainBody("fasilitas_kesehatan", filter_="kode_wilayah = '33.20.10'")
    plan = typed(Explanation, explain_question.sync(client=portal, body=question))
    tell("explain", sorted([source.agency, source.dataset, source.pushed] for source in plan.sources))

    problem = typed(Problem, list_fasilitas_kesehatan.sync(client=portal, filter_="tidak_ada = 1"))
    places = [] if isinstance(problem.errors, Unset) else [[place.code, place.detail] for place in problem.errors]
    tell("problem", [problem.status, problem.code, places])

    auditor, _ = signed_in("AUDITOR")
    name = listed.headers["Exchange-Id"]
    exchange = typed(ExchangeAnswer, get_exchange.sync(name, client=auditor))
    kinds = [[entry.kind.value, entry.index] for entry in exchange.entries]
    tell("exchange", [exchange.exchange_id, kinds, exchange.proof.checkpoint[:20]])


main()
