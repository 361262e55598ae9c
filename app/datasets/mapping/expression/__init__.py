"""The one expression language of `where`, `if` and `expr`: a scalar SQL expression over raw columns, read by an allow-list."""

from app.datasets.mapping.expression.evaluate import Expression, compile_expression

__all__ = ["Expression", "compile_expression"]
