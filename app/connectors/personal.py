"""What looks personal in raw data that no schema field describes: names of columns, and values that look like identifiers.

Used only to mask what a steward is shown and where a rejected row stands; nothing is classed by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from app.connectors.masking import mask

_MOST_SHOWN = 60
_NAMES = re.compile(
    r"(?:^|_)(?:nik|no_?ktp|ktp|no_?kk|nokk|kk|nip|nuptk|npwp|nama_(?:ibu|ayah|wali|lengkap|pemilik|pasien|orang_?tua)"
    r"|tgl_?lahir|tanggal_?lahir|tempat_?lahir|telepon|telp|tlp|no_?hp|hp|handphone|ponsel|wa|whatsapp|email|e_mail|surel"
    r"|alamat_?(?:rumah|ktp|tinggal|domisili)|rekening|no_?rek|paspor|agama|golongan_?darah|diagnosa|diagnosis|penyakit)(?:$|_)"
)
_VALUES = re.compile(
    r"(?<!\d)\d{16}(?!\d)"  # NIK, KK
    r"|(?<!\d)\d{18}(?!\d)"  # NIP
    r"|(?<!\d)(?:\+62|62|0)8\d{7,11}(?!\d)"  # mobile phones
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # e-mail
)


def named_personal(column: str) -> bool:
    """Whether a column's name is one that personal data has: NIK, No. KK, Tanggal Lahir, HP."""
    return _NAMES.search(re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")) is not None


def looks_personal(value: Any) -> bool:
    """Whether a value holds an identifier of a person: 16 or 18 digits, a mobile phone, an e-mail address."""
    if isinstance(value, str):
        return _VALUES.search(value) is not None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 10**15 <= abs(value) < 10**18


def key_text(pairs: Iterable[tuple[str, Any]]) -> str:
    """Where a row without a line stands: `, kode F1`, parts that are null left out, personal ones masked; empty without parts."""
    shown = []
    for name, value in pairs:
        if value is not None:
            text = str(masked_where_personal(value, name))
            shown.append(f"{name} {text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + '…'}")
    return f", {', '.join(shown)}" if shown else ""


def masked_where_personal(value: Any, name: str = "") -> Any:
    """The value with everything personal in it masked, also inside objects and lists."""
    if isinstance(value, dict):
        return {key: masked_where_personal(part, str(key)) for key, part in value.items()}
    if isinstance(value, list):
        return [masked_where_personal(part, name) for part in value]
    if value is not None and ((name and named_personal(name)) or looks_personal(value)):
        return mask(value)
    return value
