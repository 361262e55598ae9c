"""A finished export as a response: media type, file name, completeness; the layer adds length, digest and exchange."""

from __future__ import annotations

from collections.abc import Mapping

from app.api.layer.capture import SpooledResponse
from app.federation.exports import FORMS
from app.gateway.answers import FinishedAnswer
from app.gateway.exchange import Exchange

_TYPES = {"csv": "text/csv; charset=utf-8; header=present"}


def spooled(made: FinishedAnswer, exchange: Exchange, headers: Mapping[str, str]) -> SpooledResponse:
    """The response of an export; what a spreadsheet opens carries a file name."""
    form = FORMS[made.form.form]
    given = dict(headers)
    if form.name in {"xlsx", "parquet", "arrow", "csv"}:
        name = "-".join(exchange.schemas) or "jawaban"
        given["content-disposition"] = f'attachment; filename="{name}.{form.suffix}"'
    return SpooledResponse(made.spool, given, _TYPES.get(form.name, form.media_type))
