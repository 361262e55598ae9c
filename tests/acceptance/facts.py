"""What the tests expect, each figure twice: of the real files, and of the look-alikes. Every test runs on either.

The figures of the real files were counted in those files by other means than Simpul; those of the look-alikes follow
from the rows in `lookalikes/`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

# name: (real files, look-alike files)
FACTS: dict[str, tuple[Any, Any]] = {
    # How many records a page holds, so that either set takes several pages.
    "page_rows": (1000, 5),
    # 01 wilayah
    "regions": (213, 34),
    "villages": (195, 23),
    "urban_villages": (11, 3),
    "island_villages": (
        ["Karimunjawa", "Kemujan", "Parang", "Nyamuk"],
        ["Pulau Contoh", "Karang Peraga", "Layar Contoh"],
    ),
    # 02 crosswalk; 03 boundaries: one for each kecamatan
    "districts": (16, 9),
    "island_parts": (30, 5),
    "rings_of_kedung": ([16, 5], [7, 5]),
    "multipolygons": (7, 5),
    # 04 facilities by year
    "jepara_2023": (
        {
            "jumlah_rs_umum": 6,
            "jumlah_rs_khusus": 0,
            "jumlah_puskesmas_rawat_inap": 22,
            "jumlah_puskesmas_non_rawat_inap": 8,
            "jumlah_klinik_pratama": 27,
            "jumlah_posyandu": 1131,
        },
        {
            "jumlah_rs_umum": 3,
            "jumlah_rs_khusus": 0,
            "jumlah_puskesmas_rawat_inap": 6,
            "jumlah_puskesmas_non_rawat_inap": 3,
            "jumlah_klinik_pratama": 11,
            "jumlah_posyandu": 412,
        },
    ),
    "posyandu_2021": (49716, 1838),
    "regencies": (35, 4),
    # 05 list of facilities
    "coded_jepara": (25, 9),
    "hospitals_of_jepara": (4, 2),
    "island_centre": (("P3320120101", -5.879173, 110.433174), ("P3320120901", -5.861122, 110.421133)),
    "facilities": (10283, 18),
    "health_centres": (9060, 12),
    "hospitals": (1221, 4),
    "impossible_longitude": ("line 9453", "line 19"),
    "word_jepara": (14, 7),
    "word_jepara_elsewhere": (
        {"WAY JEPARA", "BRAJA CAKA", "KALIWUNGU"},
        {"CONTOH WAY JEPARA", "CONTOH BRAJA", "CONTOH KUDUS"},
    ),
    # 06 hospitals of a service
    "service_hospitals": (112, 7),
    "several_telephones": (34, 3),
    "first_hospital": (("dki:2", "Tarakan", -6.171333, 106.810013), ("dki:2", "Contoh Tarum", -6.181122, 106.811122)),
    # 07 indicators
    "poverty_of_jepara": (["7.17", "7.44", "6.88", "6.61", "6.09"], ["8.21", "8.43", "7.94", "7.65", "7.02"]),
    "ipm_2024": (Decimal("74.32"), Decimal("70.13")),
    "growth_2020": (Decimal("-1.92"), Decimal("-1.11")),
    "poverty_2023": (Decimal("363.89"), Decimal("24.50")),
    # 08 destinations
    "destinations": (20, 8),
    "destinations_in_jepara": (4, 2),
    "park": (
        ("Taman Nasional Karimunjawa", -5.876247, 110.435131),
        ("Taman Laut Contoh", -5.861188, 110.421188),
    ),
    "park_prices": ([5000, 7500, 150000, 225000], [6000, 8500, 120000, 175000]),
    "free_destinations": (5, 2),
    # 09 schools
    "schools": (218, 11),
    "public_schools": (143, 6),
    "primary_schools": (141, 5),
    # 10 budget
    "budgets": (36, 12),
    "income": (
        {1: 1207470881917, 2: 2189892541040, 3: 2163446653792},
        {1: 356022259221, 2: 451990925221, 3: 709773422331},
    ),
    "negative_balances": (4, 3),
    # 11 prices
    "prices": (34, 7),
    "sum_of_prices": (897200, 189200),
    "price_date": ("2020-07-20", "2020-07-13"),
    "price_in_central_java": (24950, 23750),
    # 12 earthquake
    "epicentre": ((-4.61, 102.75), (-7.35, 108.25)),
    "moment": ("2022-05-23T12:32:02Z", "2024-12-08T19:15:08Z"),
    "depth_km": (41, 17),
    "felt_places": (5, 3),
    "felt_range": ((3, 4), (2, 3)),
    "felt_in_range": (2, 1),
    # 13 portal
    "size_of_the_png": (37986, 12345),
    # Two sources that disagree
    "health_centres_counted": (30, 9),
    "health_centres_listed": (21, 7),
}


def facts_of(*, real: bool) -> dict[str, Any]:
    """The column of the set in use."""
    return {name: pair[0 if real else 1] for name, pair in FACTS.items()}
