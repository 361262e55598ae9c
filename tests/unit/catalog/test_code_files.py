"""Files of `simpul codes load`: what each format gives, and every bad line named with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.catalog.code_files import parse_code_file, read_code_file
from app.catalog.crosswalk import CrosswalkEntry
from app.errors import FieldError, ValidationFailed

CROSSWALK = "sistem,kode_asal,tingkat,nama_asal,kode_kemendagri"


def regions(name: str, text: str) -> list[tuple[str, str]]:
    return [(one.kode, one.nama) for one in parse_code_file(name, text.encode()).regions]


def faults(name: str, content: str | bytes) -> list[FieldError]:
    """What is wrong with a file."""
    with pytest.raises(ValidationFailed) as caught:
        parse_code_file(name, content.encode() if isinstance(content, str) else content)
    assert f"{name} was not loaded" in caught.value.detail
    return list(caught.value.errors)


def test_a_region_list_as_csv_gives_level_and_parent_and_says_which_columns_were_not_used():
    found = parse_code_file("x.csv", b"Kode,NAMA,luas\n33,Jawa  Tengah,1\n33.20, Jepara ,2\n")

    assert [(one.kode, one.nama, one.tingkat, one.kode_induk) for one in found.regions] == [
        ("33", "Jawa Tengah", "provinsi", None),
        ("33.20", "Jepara", "kabupaten", "33"),
    ]
    assert {one.sumber for one in found.regions} == {"x.csv"}
    assert (found.ignored, found.crosswalk) == (("luas",), ())


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_may_be_parted_by_comma_semicolon_or_tab(mark: str, end: str):
    text = end.join([f"kode{mark}nama", f"33{mark}Jawa Tengah", "", f"33.20{mark}Jepara"])

    assert regions("a.csv", "\ufeff" + text) == [("33", "Jawa Tengah"), ("33.20", "Jepara")]


def test_a_comma_in_a_name_stands_in_quotes_or_beside_semicolons():
    assert regions("a.csv", 'kode,nama\n33,"Jawa, Tengah"\n') == [("33", "Jawa, Tengah")]
    assert regions("a.txt", "kode;nama\n33;Jawa, Tengah\n") == [("33", "Jawa, Tengah")]


def test_a_region_list_as_json():
    assert regions("a.json", json.dumps([{"kode": "33", "nama": "Jawa Tengah", "luas": 3}])) == [("33", "Jawa Tengah")]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO `wilayah` VALUES ('33','Jawa Tengah'),('33.20','Ma''arif');",
        "INSERT INTO wilayah (nama, kode) VALUES ('Jawa Tengah','33'); INSERT INTO wilayah (nama, kode) VALUES ('Ma\\'arif','33.20');",
    ],
)
def test_a_region_list_as_mysql_dump(statement: str):
    columns = "`kode` varchar(13) NOT NULL, `nama` varchar(100), PRIMARY KEY (`kode`)"
    table = f"DROP TABLE IF EXISTS `wilayah`; CREATE TABLE `wilayah` ({columns});"
    other = "INSERT INTO `lain` VALUES (1,'x');"

    assert regions("a.sql", f"{table}{other}{statement}") == [("33", "Jawa Tengah"), ("33.20", "Ma'arif")]


def test_a_row_of_a_dump_that_is_no_text_is_named_by_its_number():
    found = faults("a.sql", "INSERT INTO w (kode, nama) VALUES ('33','Jawa Tengah'),(34,'DIY'),('35');")

    assert [(one.pointer, one.code) for one in found] == [("a.sql:2", "row"), ("a.sql:3", "row")]


def test_the_same_region_twice_is_one_and_with_two_names_a_fault():
    assert regions("a.csv", "kode,nama\n33,Jawa Tengah\n33,Jawa  Tengah\n") == [("33", "Jawa Tengah")]
    (found,) = faults("a.csv", "kode,nama\n33,Jawa Tengah\n33,Jawa Timur\n")

    assert (found.pointer, found.code) == ("a.csv:3", "duplicate")


def test_every_bad_line_is_named_by_its_line_and_nothing_is_loaded():
    found = faults(
        "a.csv", "kode,nama\n33,Jawa Tengah\n3320,Jepara\n\n33.21,\n33.22,a,b\n33.20.06.3001,x\n33.23,a\x07b\n"
    )

    assert [(one.pointer, one.code) for one in found] == [
        ("a.csv:3", "kode"),
        ("a.csv:5", "nama"),
        ("a.csv:6", "row"),
        ("a.csv:7", "kode"),
        ("a.csv:8", "nama"),
    ]


def test_a_name_in_quotes_may_run_over_lines_and_the_lines_behind_it_keep_their_numbers():
    (found,) = faults("a.csv", 'kode,nama\n33,"Jawa\nTengah"\nxx,y\n')

    assert found.pointer == "a.csv:4"


def test_of_many_bad_lines_twenty_are_listed_and_all_are_counted():
    text = "kode,nama\n" + "".join(f"x{number},y\n" for number in range(50))
    with pytest.raises(ValidationFailed, match=r"50 lines are wrong \(the first 20 are listed\)") as caught:
        parse_code_file("a.csv", text.encode())

    assert len(caught.value.errors) == 20


def test_a_bps_list_has_no_header_and_implies_its_levels():
    found = parse_code_file(
        "bps.csv", b"33,JAWA TENGAH\n3320,33,JEPARA\n3320060,3320,JEPARA\n3320060001,3320060,PANGGANG\n"
    )

    assert [(one.kode_asal, one.tingkat, one.nama_asal) for one in found.crosswalk] == [
        ("33", "provinsi", "JAWA TENGAH"),
        ("3320", "kabupaten", "JEPARA"),
        ("3320060", "kecamatan", "JEPARA"),
        ("3320060001", "desa", "PANGGANG"),
    ]
    assert {(one.sistem, one.metode, one.kode_kemendagri) for one in found.crosswalk} == {("bps", "nama", None)}


def test_bad_lines_of_a_bps_list_are_named():
    found = faults("b.csv", "33,x\n332,33,x\n3320,34,x\n3321,x\n3322,33,\n33,y\n")

    assert [(one.pointer, one.code) for one in found] == [
        ("b.csv:2", "kode_bps"),
        ("b.csv:3", "parent"),
        ("b.csv:4", "ragged_row"),
        ("b.csv:5", "nama"),
        ("b.csv:6", "duplicate"),
    ]


def test_a_crosswalk_made_by_hand_may_leave_a_code_unmatched():
    found = parse_code_file(
        "c.csv", f"{CROSSWALK},catatan\ndapodik,032000,kabupaten,Kab. Jepara,33.20,x\npihps,J-1,desa,,,y\n".encode()
    )

    assert found.crosswalk == (
        CrosswalkEntry("dapodik", "032000", "kabupaten", "Kab. Jepara", "33.20", "manual", "c.csv"),
        CrosswalkEntry("pihps", "J-1", "desa", None, None, "manual", "c.csv"),
    )
    assert found.ignored == ("catatan",)


def test_bad_lines_of_a_crosswalk_are_named_field_by_field():
    lines = [
        "Dapodik,1,desa,x,33",
        "dapodik,1 2,dusun,x,33",
        "dapodik,3,desa,x,3320",
        "a,4,desa",
        "a,5,desa,x,33",
        "a,5,desa,y,33",
    ]
    found = faults("c.csv", "\n".join([CROSSWALK, *lines]))

    assert [(one.pointer, one.code) for one in found] == [
        ("c.csv:2", "sistem"),
        ("c.csv:3", "kode_asal"),
        ("c.csv:3", "tingkat"),
        ("c.csv:4", "kode_kemendagri"),
        ("c.csv:5", "ragged_row"),
        ("c.csv:7", "duplicate"),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", ""),
        ("a.csv", "\n \n"),
        ("a.csv", "kode,nama\n"),
        ("a.csv", "code,name\n33,x"),
        ("a.csv", 'kode,nama\n33,"open'),
        ("a.json", "{}"),
        ("a.json", "[]"),
        ("a.json", "[" * 100_000),
        ("a.sql", "SELECT 1"),
        ("a.sql", "INSERT INTO ("),
        ("a.xlsx", "kode,nama\n33,x"),
        ("codes", "kode,nama\n33,x"),
    ],
)
def test_a_file_that_is_none_of_these_is_refused_as_a_whole(name: str, content: str):
    (found,) = faults(name, content)

    assert found.code == "file"
    assert found.pointer.startswith(name)


def test_json_that_breaks_off_is_told_with_its_line():
    (found,) = faults("a.json", '[\n{"kode": "33",\n')

    assert found.pointer == "a.json:3"


def test_a_file_in_another_encoding_is_told_with_the_line_of_the_first_strange_byte():
    (found,) = faults("a.csv", b"kode,nama\n33,Jawa\n34,Yogyakart\xe9\n")

    assert found.pointer == "a.csv:3"
    assert "UTF-8" in found.detail


def test_a_file_is_read_by_its_name_and_a_missing_or_large_one_refused(tmp_path: Path):
    path = tmp_path / "a.csv"
    with pytest.raises(ValidationFailed, match=r"a\.csv was not loaded: the file cannot be read"):
        read_code_file(path)
    path.write_bytes(b"kode,nama\n33,Jawa Tengah\n")
    assert [one.kode for one in read_code_file(path).regions] == ["33"]
    with pytest.raises(ValidationFailed, match="the most is 10: split it"):
        read_code_file(path, most_bytes=10)


def test_a_dump_with_keys_and_constraints_is_read_by_its_columns():
    dump = (
        "CREATE TABLE wilayah (kode varchar(13) NOT NULL, nama varchar(100), induk varchar(13), PRIMARY KEY (kode),"
        " KEY nama_idx (nama), FULLTEXT KEY cari (nama), CONSTRAINT fk FOREIGN KEY (induk) REFERENCES wilayah (kode));\n"
        "INSERT INTO wilayah VALUES ('33', 'Jawa Tengah', NULL), ('33.20', 'Kabupaten Jepara', '33');\n"
    )
    assert regions("wilayah.sql", dump) == [("33", "Jawa Tengah"), ("33.20", "Kabupaten Jepara")]


def test_numbers_and_nesting_beyond_every_bound_are_refused_as_files():
    assert faults("wilayah.json", '[{"kode": ' + "1" * 5000 + "}]")
    assert faults("wilayah.sql", "SELECT " + "(" * 20_000 + "1" + ")" * 20_000)


def test_digits_of_other_scripts_are_no_code():
    assert faults("wilayah.csv", "kode,nama\n\u0663\u0663,Jawa\n")
