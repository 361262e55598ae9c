"""What callers' SQL may be made of: constructs with their parts, functions, types. What is not here does not exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlglot import exp

_SELECT = frozenset(
    {"with_", "with", "expressions", "from_", "from", "joins", "where", "group", "having", "qualify", "windows", "distinct", "order",
     "limit", "offset", "kind"}
)  # fmt: skip

CONSTRUCTS: Final[Mapping[str, frozenset[str] | None]] = {
    "Select": _SELECT - {"kind"},
    "Union": None, "Except": None, "Intersect": None,
    "Subquery": frozenset({"this", "alias", "order", "limit", "offset", "with_", "with"}),
    "With": frozenset({"expressions"}), "CTE": frozenset({"this", "alias", "materialized"}), "Lateral": frozenset({"this", "alias"}),
    "Values": frozenset({"expressions", "alias"}),
    "Table": None, "TableAlias": frozenset({"this", "columns"}), "Identifier": None,
    "Column": frozenset({"this", "table"}), "Alias": frozenset({"this", "alias"}), "Star": frozenset({"except_", "replace", "rename"}),
    "Literal": None, "Boolean": None, "Null": None, "Paren": None, "Tuple": frozenset({"expressions"}),
    "From": None, "Join": frozenset({"this", "on", "using", "side", "kind"}), "Where": None, "Having": None,
    "Qualify": None, "Order": frozenset({"this", "expressions"}), "Ordered": frozenset({"this", "desc", "nulls_first"}),
    "Group": frozenset({"expressions", "all"}), "Rollup": frozenset({"expressions"}), "Cube": frozenset({"expressions"}),
    "GroupingSets": frozenset({"expressions"}), "Limit": frozenset({"expression"}), "Offset": frozenset({"expression"}),
    "Fetch": frozenset({"direction", "count", "limit_options"}), "LimitOptions": frozenset({"rows"}), "WithinGroup": None,
    "Distinct": frozenset({"expressions", "on"}), "Window": frozenset({"this", "partition_by", "order", "spec", "alias", "over"}),
    "WindowSpec": None, "Filter": frozenset({"this", "expression"}), "IgnoreNulls": None, "RespectNulls": None,
    "And": None, "Or": None, "Not": None, "Xor": None, "EQ": None, "NEQ": None, "GT": None, "GTE": None, "LT": None,
    "LTE": None, "NullSafeEQ": None, "NullSafeNEQ": None, "Is": None, "In": frozenset({"this", "expressions", "query"}),
    "Between": frozenset({"this", "low", "high"}), "Like": frozenset({"this", "expression", "negate"}),
    "ILike": frozenset({"this", "expression", "negate"}), "Escape": None, "Exists": None,
    "Any": None, "All": None, "SimilarTo": None, "Bracket": frozenset({"this", "expressions", "offset"}),
    "Slice": frozenset({"this", "expression"}),
    "Array": frozenset({"expressions", "bracket_notation"}), "Dot": frozenset({"this", "expression"}),
    "Add": None, "Sub": None, "Mul": None, "Div": None, "IntDiv": None, "Mod": None, "Neg": None, "DPipe": None,
    "SafeDPipe": None, "Case": None, "If": None, "Cast": frozenset({"this", "to"}),
    "TryCast": frozenset({"this", "to", "safe"}),
    "AtTimeZone": frozenset({"this", "zone"}),
    "DataType": None, "DataTypeParam": None, "Var": None, "Interval": None, "IntervalSpan": None, "Day": None,
}  # fmt: skip
"""Class of the tree -> parts that it may have (None: any; all of them are constructs of this list again)."""

FUNCTIONS: Final[Mapping[str, str]] = {
    name: getattr(exp, name).sql_name().lower()
    for name in (
        "Count", "CountIf", "Sum", "Min", "Max", "Avg", "Median", "Stddev", "StddevPop", "StddevSamp", "Variance",
        "VariancePop", "GroupConcat", "ApproxDistinct", "ArgMax", "ArgMin", "LogicalAnd", "LogicalOr", "AnyValue", "First", "Last",
        "Quantile", "PercentileCont", "PercentileDisc", "ApproxQuantile", "Mode", "ArrayAgg", "Corr", "CovarPop", "CovarSamp",
        "RegrSlope", "RegrIntercept", "Kurtosis", "Skewness", "Grouping",
        "RowNumber", "Rank", "DenseRank", "PercentRank", "CumeDist", "Ntile", "Lag", "Lead", "FirstValue", "LastValue", "NthValue",
        "Coalesce", "Nullif", "Greatest", "Least", "Abs", "Round", "Floor", "Ceil", "Sqrt", "Pow", "Ln", "Sign", "Exp",
        "Log", "Trunc", "Cbrt", "Pi", "Degrees", "Radians", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Atan2",
        "Upper", "Lower", "Trim", "Length", "Substring", "Replace", "Concat", "ConcatWs", "Left", "Right", "StrPosition",
        "StartsWith", "EndsWith", "Contains", "SplitPart", "Initcap", "Reverse",
        "Pad", "Translate", "RegexpLike", "RegexpFullMatch", "RegexpExtract", "RegexpReplace", "Levenshtein", "Split",
        "ArraySize", "ArrayContains", "ArrayToString", "ArrayDistinct",
        "Extract", "Year", "Month", "Quarter", "Week", "DayOfWeek", "DateTrunc", "TimestampTrunc", "DateDiff", "DateAdd",
        "TsOrDsToDate", "Date", "LastDay", "CurrentDate", "CurrentTimestamp", "DateStrToDate", "DayOfMonth", "DayOfYear",
        "Hour", "Minute", "Second", "DayOfWeekIso", "WeekOfYear", "Dayname", "Monthname", "TimeToStr", "StrToTime", "TimeToUnix",
        "DateFromParts", "TimestampFromParts", "DateBin", "Localtimestamp",
    )
    if hasattr(exp, name)
}  # fmt: skip
"""Class of the tree -> name."""

OWN_FUNCTIONS: Final[Mapping[str, int]] = {"induk": 2, "tingkat": 1}
"""Functions over region codes, defined in the worker -> how many arguments they take."""

OTHER_FUNCTIONS: Final[Mapping[str, tuple[int, int]]] = {
    "now": (0, 0), "get_current_timestamp": (0, 0), "log2": (1, 1), "log10": (1, 1), "list_sort": (1, 1),
    "date_part": (2, 2), "datepart": (2, 2), "date_sub": (3, 3), "datesub": (3, 3),
    "try_strptime": (2, 2), "age": (1, 2), "isoyear": (1, 1), "yearweek": (1, 1), "century": (1, 1),
    "strip_accents": (1, 1), "prefix": (2, 2),
    "suffix": (2, 2), "fmod": (2, 2),
}  # fmt: skip
"""Functions of the engine that the parser has no class for -> the least and the most arguments."""

ZONES: Final = ("UTC", "Asia/Jakarta", "Asia/Pontianak", "Asia/Makassar", "Asia/Jayapura")
"""Zones of AT TIME ZONE: the region's own. The engine knows them by its library of ICU, which is part of it."""

_NAMED = exp.DataType.Type
TYPES: Final = frozenset(
    {
        _NAMED.TEXT, _NAMED.VARCHAR, _NAMED.CHAR, _NAMED.INT, _NAMED.BIGINT, _NAMED.SMALLINT, _NAMED.TINYINT, _NAMED.DECIMAL,
        _NAMED.DOUBLE, _NAMED.FLOAT, _NAMED.BOOLEAN, _NAMED.DATE, _NAMED.TIMESTAMP, _NAMED.TIMESTAMPNTZ, _NAMED.TIMESTAMPTZ,
        _NAMED.INTERVAL,
    }
)  # fmt: skip
