"""The records of one file, read where it is called: in the process of the gateway, or in one of its own (`isolation.py`)."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from app.connectors.agency_files import agency_file
from app.connectors.contract import RawBatch
from app.connectors.environment import Limits
from app.connectors.file.csv_columns import estimated_rows, read_table
from app.connectors.file.dbf_reader import mark_beside, read_dbf, wanted_encoding
from app.connectors.file.json_reader import read_json
from app.connectors.file.layers import Layer, layers_of, read_layer, table_encoding
from app.connectors.file.parquet_reader import parquet_rows, read_parquet
from app.connectors.file.sniff import settled
from app.connectors.file.source import LAYERS, FileSource
from app.connectors.file.spss_reader import Variable, read_spss, spss_rows, spss_variables
from app.connectors.file.xml_reader import read_xml
from app.connectors.projection import projected
from app.errors import SourceFailed, SourceFormatError, SourcePermissionDenied


@contextmanager
def unreadable(location: str) -> Iterator[None]:
    """Faults of the disk as ours."""
    try:
        yield
    except PermissionError:
        raise SourcePermissionDenied(f"{location} may not be read", field="/source/location") from None
    except OSError as error:
        detail = f"{location} could not be read ({error.strerror})"
        raise SourceFormatError(detail, field="/source/location") from None


@contextmanager
def unchanged(path: Path, location: str) -> Iterator[None]:
    """Raises `SourceFailed` behind a read during which the file was written to: half of it is of another version, or missing.

    One that was put in its stead by renaming is another file: what is read is whole.
    """
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        yield
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        detail = f"{location} was written to while it was read; write beside it, then rename"
        raise SourceFailed(detail, field="/source/location")


def file_mark(path: Path) -> str:
    """Identity of a file's bytes: device, inode, change time, size; with those of the files that belong to it. Raises `OSError`."""
    stats = [path.stat()]
    if path.suffix.lower() in {".shp", ".dbf"}:
        stats += [one.stat() for one in sorted(path.parent.iterdir()) if one.stem == path.stem and one != path]
    return "-".join(
        f"{stat.st_dev}-{stat.st_ino}-{stat.st_mtime_ns}-{stat.st_ctime_ns}-{stat.st_size}" for stat in stats
    )


def openable(path: Path) -> None:
    """Raises `SourcePermissionDenied` where the file may not be read."""
    try:
        path.open("rb").close()
    except OSError:
        raise SourcePermissionDenied("the file may not be read", field="/source/location") from None


class FileContent:
    """A file of an agency that is no workbook. Every read opens it anew. `inner`: where it is under `root`."""

    def __init__(self, source: FileSource, root: Path, limits: Limits, inner: str) -> None:
        self._source = source
        self._root = root
        self._inner = inner
        self._limits = limits

    def rows(self) -> int | None:
        """How many records a Parquet or an SPSS file says it has, None where it does not. Raises `SourceError` leaves."""
        source = self._source
        path = agency_file(self._root, self._inner)
        with unreadable(source.location):
            source = settled(path, source)
            return spss_rows(path, source) if source.kind_of_file == "spss" else parquet_rows(path, source.location)

    def estimated_rows(self) -> int:
        """About how many rows a large CSV file has, 0 where nothing tells. Raises `SourceError` leaves."""
        with unreadable(self._source.location):
            return estimated_rows(agency_file(self._root, self._inner))

    def read(self, columns: Sequence[str] | None) -> Generator[RawBatch]:
        """The records in file order, with these columns only (None: all). Raises `SourceError` leaves."""
        source = self._source
        path = agency_file(self._root, self._inner)
        with unreadable(source.location), unchanged(path, source.location):
            source = settled(path, source)
            if source.kind_of_file == "csv":
                yield from read_table(path, source, source.location, columns)
            elif source.kind_of_file == "parquet":
                yield from projected(read_parquet(path, source.location, columns, self._limits), columns)
            elif source.kind_of_file == "dbf":
                yield from projected(self._dbf(path, source), columns)
            elif source.kind_of_file in LAYERS:
                yield from projected(read_layer(path, source, self._root, self._limits), columns)
            elif source.kind_of_file == "spss":
                yield from projected(read_spss(path, source, columns, self._limits), columns)
            elif source.kind_of_file == "xml":
                yield from projected(read_xml(path, source, source.location), columns)
            else:
                yield from projected(read_json(path, source, source.location), columns)

    def first(self) -> RawBatch | None:
        """The first records alone, in the form in which `read` gives them; None of a file without any."""
        with closing(self.read(None)) as batches:
            return next(batches, None)

    def layers(self) -> list[Layer]:
        """The layers of a file of features. Raises `SourceError` leaves."""
        path = agency_file(self._root, self._inner)
        with unreadable(self._source.location):
            return layers_of(path, settled(path, self._source), self._root, self._limits)

    def variables(self) -> list[Variable]:
        """The variables of an SPSS file. Raises `SourceError` leaves."""
        path = agency_file(self._root, self._inner)
        with unreadable(self._source.location):
            return spss_variables(path, settled(path, self._source))

    def wanted_encoding(self) -> tuple[str, str] | None:
        """The encoding of the table of a dBASE file or a Shapefile and what told it; None where none has to be stated."""
        path = agency_file(self._root, self._inner)
        with unreadable(self._source.location):
            source = settled(path, self._source)
            if source.kind_of_file == "shapefile":
                return table_encoding(path, source, self._root, self._limits)
            with path.open("rb") as file:
                return wanted_encoding(file, mark_beside(path, self._root))

    def _dbf(self, path: Path, source: FileSource) -> Iterator[RawBatch]:
        with path.open("rb") as file:
            yield from read_dbf(file, source.location, source.encoding, mark_beside(path, self._root))
