"""Refusals and limits of callers' SQL, each with a code of its own. All are the statement's fault: 422 on the wire."""

from __future__ import annotations

from app.errors import RequestError


class SqlRefused(RequestError):
    """A statement of `POST /v1/queries` that will not run, or did not come to its end within its limits."""

    code = "sql_refused"


class SqlTooLong(SqlRefused):
    code = "sql_too_long"


class SqlMalformed(SqlRefused):
    code = "sql_malformed"


class SqlNotSelect(SqlRefused):
    code = "sql_not_select"


class SqlSeveralStatements(SqlRefused):
    code = "sql_several_statements"


class SqlTooComplex(SqlRefused):
    code = "sql_too_complex"


class SqlConstructForbidden(SqlRefused):
    code = "sql_construct_forbidden"


class SqlFunctionForbidden(SqlRefused):
    code = "sql_function_forbidden"


class SqlTableUnknown(SqlRefused):
    code = "sql_table_unknown"


class SqlNoTable(SqlRefused):
    code = "sql_no_table"


class SqlTablePersonal(SqlRefused):
    code = "sql_table_personal"


class SqlJoinUnbounded(SqlRefused):
    code = "sql_join_unbounded"


class SqlRecursive(SqlRefused):
    code = "sql_recursive"


class SqlRowsExceeded(SqlRefused):
    code = "sql_rows_exceeded"


class SqlInputExceeded(SqlRefused):
    code = "sql_input_exceeded"


class SqlTimeExceeded(SqlRefused):
    code = "sql_time_exceeded"


class SqlMemoryExceeded(SqlRefused):
    code = "sql_memory_exceeded"


class SqlValueNotFinite(SqlRefused):
    """Infinity, NaN, a division by zero, a date outside of the years 1 to 9999: no format has a number or date for it."""

    code = "sql_value_not_finite"


class SqlFailed(SqlRefused):
    code = "sql_failed"
