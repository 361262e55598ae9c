"""Fields that many schemas have and that mean the same in each: position and region. What differs is said where the field stands."""

from __future__ import annotations

from typing import Any

from app.schemas.base import Akses, spec


def latitude(example: float) -> Any:
    """`lat`, which may be null."""
    return spec(
        "Lintang", "Latitude", "Lintang WGS 84", "Latitude, WGS 84", example=example, nullable=True, unit="derajat"
    )


def longitude(example: float) -> Any:
    """`lng`, which may be null."""
    return spec(
        "Bujur", "Longitude", "Bujur WGS 84", "Longitude, WGS 84", example=example, nullable=True, unit="derajat"
    )


def region_where(tempat: str, where: str, example: str) -> Any:
    """`kode_wilayah` of where something is, which may be null: `tempat sekolah berada`, `where the school lies`."""
    return spec(
        "Kode wilayah",
        "Region code",
        f"Kode wilayah Kemendagri {tempat}",
        f"Region code of Kemendagri {where}",
        example=example,
        nullable=True,
    )


def region_or_origin(example: str, *, nullable: bool = False, akses: Akses = "terbuka") -> Any:
    """`kode_wilayah` of figures, whose sources may know a region by a code of their own alone."""
    return spec(
        "Kode wilayah",
        "Region code",
        "Kode wilayah Kemendagri, atau sistem:kode bila sumber tidak memilikinya",
        "Region code of Kemendagri, or system:code where the source has none",
        example=example,
        nullable=nullable,
        akses=akses,
    )
