"""The rules that a raw value can break on its way to a schema field, with their text in both languages.

A rule is a stable code: both forms of a step name the same one. `StepReject` carries it inside the row form.
"""

from __future__ import annotations

from collections.abc import Mapping

RULES: Mapping[str, tuple[str, str]] = {
    "wrong_type": (
        "tipe nilai tidak cocok; tambahkan langkah pengubah (number, as_text, date, ...)",
        "the value is of another type than this step or field takes; add a step that converts it (number, as_text, date, ...)",
    ),
    "cell_error": (
        "sel berisi galat atau rumus tanpa hasil; perbaiki di berkas sumber",
        "the cell holds an error or a formula without a stored result; mend it in the file and save it again",
    ),
    "percent_cell": (
        "sel berformat persen; tulis number dengan suffix persen",
        'the cell is shown as a percentage: number: {suffix: "%"} gives 6.09 for 6.09 %; multiply: 0.01 behind it the fraction',
    ),
    "not_a_number": (
        "bukan bilangan menurut lambang desimal dan ribuan yang dinyatakan",
        "not a number in the notation that the step states (decimal, thousands, prefix, suffix)",
    ),
    "not_whole": ("bukan bilangan bulat", "a whole number is needed and the value has a fraction"),
    "not_finite": ("bukan bilangan berhingga", "NaN and infinity are no values"),
    "number_out_of_range": ("bilangan terlalu besar", "the number is too large for the field"),
    "text_too_long": ("teks hasil terlalu panjang", "the expression would make a text of more than 100,000 characters"),
    "number_too_precise": (
        "pecahan lebih panjang dari yang disimpan",
        "the fraction has more digits than the field keeps",
    ),
    "not_a_date": ("bukan tanggal menurut format yang dinyatakan", "no stated format fits, or the date does not exist"),
    "not_a_datetime": (
        "bukan waktu menurut format yang dinyatakan",
        "no stated format fits, or the time does not exist",
    ),
    "time_not_existing": ("waktu setempat itu tidak ada di zona ini", "this local time does not exist in the zone"),
    "time_ambiguous": ("waktu setempat itu terjadi dua kali", "this local time happened twice in the zone"),
    "time_part": ("nilai waktu bukan tengah malam", "a date is needed and the value has a time of day"),
    "precision_mismatch": (
        "ketelitian tanggal tidak cocok",
        "the text is less precise than the hint says, or the hint is unknown",
    ),
    "code_unknown": ("kode tidak ada di daftar", "the value is not in the list of codes"),
    "not_a_boolean": ("bukan kata ya/tidak yang dinyatakan", "not one of the words stated for true and false"),
    "slice_out_of_range": ("teks lebih pendek dari potongan", "the text is shorter than the slice"),
    "part_missing": ("bagian teks itu tidak ada", "the text has no such part"),
    "digits_missing": ("jumlah digit tidak sesuai", "the number does not have the stated count of digits"),
    "digits_lost": (
        "bilangan pecahan/terlalu besar: digit mungkin hilang di sumber",
        "a fraction, a sheet's number from 10^15 on or a float from 2^53 on: its digits were lost; keep identifiers as text",
    ),
    "not_a_coordinate": (
        "bukan koordinat seperti 4.61 LS, atau pasangan seperti -6.58, 110.67; koma di -6,58 bermakna ganda",
        "not a coordinate such as `4.61 LS`, or a pair such as `-6.58, 110.67`; the comma of `-6,58` may be a decimal mark",
    ),
    "coordinate_out_of_range": (
        "koordinat di luar jangkauan (sumbu tertukar?)",
        "coordinate out of range; are the axes swapped?",
    ),
    "geometry_malformed": ("geometri tidak terbaca", "the geometry cannot be read in the stated notation"),
    "geometry_depth": (
        "kedalaman susunan koordinat tak dikenal",
        "nesting must be 1 (point), 3 (polygon) or 4 (multipolygon)",
    ),
    "ring_not_closed": (
        "cincin poligon tidak tertutup",
        "a ring must have four or more positions, the last equal to the first",
    ),
    "crosswalk_unmatched": ("kode tidak ada di padanan", "the code is not in the loaded crosswalk"),
    "lookup_unmatched": ("nama wilayah tidak ditemukan", "no loaded region has this name in the stated parent"),
    "lookup_ambiguous": ("nama wilayah ganda", "more than one loaded region has this name in the stated parent"),
    "json_malformed": ("JSON tidak terbaca", "the text is no JSON"),
    "not_a_list": ("bukan daftar", "a list is needed"),
    "not_an_object": ("bukan objek", "an object with members is needed"),
    "list_too_long": ("daftar terlalu panjang", "the list has more than 10,000 items"),
    "unknown_member": (
        "anggota objek tak dikenal",
        "the object has members the schema does not know; map them with each: {fields: ...}",
    ),
    "no_branch": ("tidak ada cabang yang cocok", "no branch of `when` holds; add a last branch without `if`"),
}


class StepReject(Exception):
    """A value that a step cannot convert. `rule` is a key of `RULES`."""

    __slots__ = ("rule",)

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class Nulled(StepReject):
    """A value that a step cannot convert, in a branch that says `else: "null"`: the field is null, with a warning."""

    __slots__ = ()


def null_warning(field: str, rule: str) -> tuple[str, str, str, str]:
    """(field, code, Indonesian, English) of a field that is null because its value broke this rule."""
    return field, rule, detail_id(rule), f"nulled: {rule}; {detail_en(rule)}"


def detail_en(rule: str) -> str:
    """What the rule means and what to do, in English."""
    return RULES[rule][1]


def detail_id(rule: str) -> str:
    """What the rule means and what to do, in Indonesian."""
    return RULES[rule][0]
