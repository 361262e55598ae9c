"""Purposes of use (tujuan pemrosesan) and the seeded list with its legal bases."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access import tables
from app.access.tables import ACCESS_TOPIC
from app.database import bump_stamp


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose: code, title (Indonesian, English), the law that allows it."""

    code: str
    title_id: str
    title_en: str
    legal_basis: str


SEED: Final[tuple[Purpose, ...]] = (
    Purpose("pelayanan_kesehatan", "Pelayanan kesehatan", "Health services", "UU 17/2023 tentang Kesehatan"),
    Purpose(
        "verifikasi_identitas",
        "Verifikasi identitas penduduk",
        "Verification of a resident's identity",
        "UU 24/2013 tentang Administrasi Kependudukan; Permendagri 102/2019",
    ),
    Purpose(
        "bantuan_sosial",
        "Penyaluran bantuan sosial",
        "Social assistance",
        "UU 11/2009 tentang Kesejahteraan Sosial; UU 13/2011 tentang Penanganan Fakir Miskin",
    ),
    Purpose("pendidikan", "Penyelenggaraan pendidikan", "Education", "UU 20/2003 tentang Sistem Pendidikan Nasional"),
    Purpose(
        "perizinan",
        "Pelayanan perizinan",
        "Licensing",
        "UU 6/2023 tentang Penetapan Perppu Cipta Kerja; PP 28/2025 tentang Perizinan Berusaha Berbasis Risiko",
    ),
    Purpose(
        "pelayanan_publik", "Pelayanan publik lainnya", "Other public services", "UU 25/2009 tentang Pelayanan Publik"
    ),
    Purpose(
        "statistik",
        "Statistik dan analisis",
        "Statistics and analysis",
        "UU 16/1997 tentang Statistik; Perpres 39/2019 tentang Satu Data Indonesia",
    ),
    Purpose(
        "perencanaan_pembangunan",
        "Perencanaan pembangunan",
        "Development planning",
        "UU 25/2004 tentang Sistem Perencanaan Pembangunan Nasional",
    ),
    Purpose(
        "penanggulangan_bencana",
        "Penanggulangan bencana",
        "Disaster management",
        "UU 24/2007 tentang Penanggulangan Bencana",
    ),
    Purpose(
        "pengelolaan_keuangan_daerah",
        "Pengelolaan keuangan dan pendapatan daerah",
        "Regional finance and revenue",
        "UU 1/2022 tentang Hubungan Keuangan antara Pemerintah Pusat dan Pemerintahan Daerah",
    ),
    Purpose(
        "pengawasan",
        "Pengawasan internal pemerintah",
        "Internal government oversight",
        "PP 60/2008 tentang Sistem Pengendalian Intern Pemerintah; PP 12/2017",
    ),
    Purpose(
        "informasi_publik",
        "Keterbukaan informasi publik",
        "Public information",
        "UU 14/2008 tentang Keterbukaan Informasi Publik",
    ),
)


async def seed_purposes(connection: AsyncConnection) -> int:
    """Insert the seeded purposes that are missing; what an operator changed stays. Returns how many were added."""
    known = set((await connection.execute(sa.select(tables.purpose.c.code))).scalars())
    missing = [asdict(entry) for entry in SEED if entry.code not in known]
    if missing:
        await connection.execute(sa.insert(tables.purpose), missing)
        await bump_stamp(connection, ACCESS_TOPIC)
    return len(missing)


async def list_purposes(connection: AsyncConnection) -> list[Purpose]:
    """All purposes by code."""
    rows = await connection.execute(sa.select(tables.purpose).order_by(tables.purpose.c.code))
    return [Purpose(**row) for row in rows.mappings()]
