"""The draft of the notice that UU 27/2022 Ps. 46 asks for within 3 x 24 hours, in Indonesian, from what the log knows.

Pure. What the log cannot know stands in square brackets, for a person to fill in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

_MONTHS = (
    "Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober", "November",
    "Desember",
)  # fmt: skip


def notice(
    title: str, found: Mapping[str, Any], *, known_at: datetime, deadline: datetime, window: str, zone: str
) -> str:
    """The draft as plain text."""
    return "\n".join(
        [
            "PEMBERITAHUAN KEGAGALAN PELINDUNGAN DATA PRIBADI",
            "(UU No. 27 Tahun 2022 tentang Pelindungan Data Pribadi, Pasal 46)",
            "",
            f"Perihal: {title}",
            f"Diketahui: {_moment(known_at, zone)}",
            f"Batas waktu pemberitahuan tertulis (3 x 24 jam): {_moment(deadline, zone)}",
            "",
            "1. Data pribadi yang terungkap",
            f"   Jumlah subjek data: {found['subjects']} (dihitung per kunci tahunan catatan pertukaran).",
            f"   Jenis data: {_listed(found['fields'])}.",
            f"   Sumber data (OPD penyedia): {_listed(found['providers'])}.",
            "",
            "2. Kapan dan bagaimana data pribadi terungkap",
            f"   Rentang waktu: {window}.",
            f"   Melalui {found['exchanges']} pertukaran data yang tercatat; data diterima oleh {_listed(found['receivers'])}.",
            "   Cara terungkap: [diisi oleh pengendali data].",
            "",
            "3. Upaya penanganan dan pemulihan",
            "   [diisi: pencabutan kredensial, penghentian perjanjian, koordinasi dengan penerima data, langkah bagi subjek data].",
            "",
            "Narahubung pejabat pelindungan data pribadi: [nama, jabatan, telepon, surel].",
            f"Catatan pertukaran diperiksa sampai entri ke-{found['tree_size']}; keutuhannya dapat diverifikasi secara mandiri.",
        ]
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "tidak ada yang tercatat"


def _moment(moment: datetime, zone: str) -> str:
    local = moment.astimezone(ZoneInfo(zone))
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year} pukul {local:%H.%M} {local:%Z}"
