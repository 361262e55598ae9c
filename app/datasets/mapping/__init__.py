"""From raw records to schema values, as a manifest says. `compile_mapping` is the way in."""

from app.datasets.mapping.mapping import CompiledMapping, MappedRow, compile_mapping

__all__ = ["CompiledMapping", "MappedRow", "compile_mapping"]
