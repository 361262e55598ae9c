"""Which layer of a Shapefile, GeoPackage or KML holds the features, and in which coordinates they are; the encoding of a dBASE table."""

from __future__ import annotations

from collections.abc import Sequence

from app.connectors.diagnosis import Findings
from app.connectors.file.layers import Layer, chosen_layer
from app.connectors.file.source import FileSource


def diagnose_layers(layers: Sequence[Layer], source: FileSource, found: Findings) -> None:
    """Proposes the layer with the most features where none is named."""
    if source.sheet is None and len(layers) > 1:
        largest = max(layers, key=lambda layer: layer.features)
        counted = ", ".join(f"{layer.name} {layer.features}" for layer in layers[:12])
        found.source("sheet", largest.name, f"the largest of {len(layers)} layers (features: {counted})")


def diagnose_encoding(wanted: tuple[str, str] | None, source: FileSource, found: Findings) -> None:
    """Proposes the encoding that a table needs."""
    if wanted is not None and "encoding" not in source.model_fields_set:
        found.source("encoding", *wanted)


def layer_notes(layers: Sequence[Layer], wanted: int | str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The layers as the tables of a source, and what a reader has to know of them."""
    names = tuple(layer.name for layer in layers)
    chosen = next(layer for layer in layers if layer.name == chosen_layer(names, wanted))
    notes = []
    if wanted is None and len(names) > 1:
        notes.append(
            f"the file has {len(names)} layers and none is named: {chosen.name} is read; name it in source.sheet"
        )
    if chosen.system not in {None, "none", "EPSG:4326"}:
        notes.append(f"the coordinates are in {chosen.system}; they are converted to WGS 84")
    return names, tuple(notes)
