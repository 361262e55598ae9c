"""Paths of tiles: the examples of the specification, and everything that names no tile."""

from __future__ import annotations

import pytest

from app.audit.tlog.tiles import Tile, bundle, parse_tile, tiles_of


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "0/000"),
        (Tile(0, 1234067), "0/x001/x234/067"),
        (Tile(1, 0, 17), "1/000.p/17"),
        (Tile(0, 273, 112), "0/273.p/112"),
        (Tile(None, 999_999, 255), "entries/x999/999.p/255"),
        (Tile(7, 1000), "7/x001/000"),
    ],
)
def test_a_path_names_its_tile_and_back(tile, path):
    assert parse_tile(path) == tile
    assert tile.path() == f"tile/{path}"


HOSTILE = [
    "0/00", "0/0", "0/0000", "0/x0001", "0/x000/001", "0/x001", "0/001/002", "0/000.p/0", "0/000.p/256", "0/000.p/01",
    "0/000.p/999", "0/000.p/", "0/000.p", "64/000", "8/000", "00/000", "01/000", "-1/000", "0/-01", "0/+01", "+0/000",
    "entries/", "entries", "ENTRIES/000", "0/../000", "0/%2e%2e/000", "../checkpoint", "0/000/", "/0/000", "0//000", "",
    "0/\u0660\u0660\u0660", "0/000\n", "0/000.p/1 ", "0/000.p/1/2", "data/000", "0/" + "x999/" * 30 + "999",
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_29_what_names_no_tile(path):
    assert parse_tile(path) is None


def test_the_tiles_of_a_tree_of_70000():
    found = [tile for tile in tiles_of(70_000) if tile.level is not None]
    levels = {level: [tile.width for tile in found if tile.level == level] for level in range(4)}
    assert levels == {0: [256] * 273 + [112], 1: [256, 17], 2: [1], 3: []}
    assert [tile.width for tile in tiles_of(70_000) if tile.level is None] == levels[0]
    assert [tile.path() for tile in tiles_of(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert list(tiles_of(0)) == []


def test_the_sizes_of_which_a_tile_is_part():
    assert Tile(0, 1).sizes == (512, None)
    assert Tile(0, 1, 3).sizes == (259, 260)
    assert Tile(1, 0, 17).sizes == (17 * 256, 18 * 256)
    assert Tile(None, 0, 1).sizes == (1, 2)


def test_a_bundle_holds_lengths_and_bytes():
    assert bundle([b"ab", b"", b"x" * 300]) == b"\x00\x02ab\x00\x00\x01\x2c" + b"x" * 300
