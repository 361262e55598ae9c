"""Terms of an agreement that could not be applied are refused when it is proposed, not on its first day."""

from __future__ import annotations

import pytest

from app.errors import ValidationFailed
from app.gateway.agreements import _check_masks, _check_row_filter
from tests.support.memory import FACILITIES


@pytest.mark.parametrize(
    "text",
    [None, "kelas = 'B' AND jenis = 'puskesmas'", '{"op": "=", "args": [{"property": "kelas"}, "B"]}', "lat > -7"],
)
def test_a_row_filter_that_fits_the_schema_passes_in_either_language(text: str | None):
    _check_row_filter(FACILITIES, text)
    if text is not None:
        with pytest.raises(ValidationFailed):
            _check_row_filter(FACILITIES, f"{text} no filter")


@pytest.mark.parametrize(
    "text",
    ["kelass = 'B'", "kelas =", "lat = 'north'", '{"op": "="}', '{"op": "like", "args": [', "", "tidak_ada IS NULL"],
)
def test_a_row_filter_that_does_not_fit_is_refused_at_its_pointer(text: str):
    with pytest.raises(ValidationFailed) as caught:
        _check_row_filter(FACILITIES, text)

    (error,) = caught.value.errors
    assert error.pointer == "/row_filter"
    assert error.detail


def test_masks_that_fit_their_fields_pass():
    _check_masks(FACILITIES, {"alamat": "hide", "email_kontak": "hash", "kode_wilayah": "region-only"})


def test_every_mask_that_does_not_fit_its_field_is_named():
    with pytest.raises(ValidationFailed) as caught:
        _check_masks(FACILITIES, {"kode_faskes": "hash", "lat": "last4", "alamat": "hide", "nama": "year-only"})

    assert [(one.pointer, one.code) for one in caught.value.errors] == [
        ("/masks/kode_faskes", "mask_unfit"),
        ("/masks/lat", "mask_unfit"),
        ("/masks/nama", "mask_unfit"),
    ]
    assert caught.value.errors[0].detail in caught.value.detail
