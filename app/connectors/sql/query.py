"""A steward's own SELECT: proven to be one plain read in the source's dialect before it ever becomes a subquery.

The read-only session is the wall; this is the fence in front of it, with an error a steward can act on.
"""

from __future__ import annotations

import itertools
import re

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import SqlglotError

MAX_QUERY_CHARACTERS = 16_384
MAX_QUERY_NODES = 4_000
_WRITES = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.Command,
    exp.Copy,
    exp.Set,
    exp.Pragma,
    exp.Attach,
    exp.Detach,
    exp.Transaction,
)
# Functions that change a session, reach files, other servers or other sessions, wait, or hand text to the SQL parser again.
_FORBIDDEN_FUNCTION = re.compile(
    r"pg_\w+|lo_\w+|dblink\w*|set_config|current_setting|nextval|setval|currval|lastval|\w+_to_xml\w*|"
    r"load_extension|readfile|writefile|edit|fts3_tokenizer|sqlite_\w+|txid_\w+",
    re.IGNORECASE,
)


# Packages of Oracle that reach files, other servers, the operating system or hand text to the parser; sequences; other databases.
_ORACLE_WORD = re.compile(
    r"(?:utl|dbms|apex|owa|htp|htf|ctx|sdo_util|wwv|ordsys|xs|mgmt|rdf|sem)_\w+|httpuritype|dburitype|xdburitype|uritype|urifactory|"
    r"bfilename|xmltype|xmlparse|nextval|currval|sys_eval|xmlquery|xmltable|dbms\w*|extractvalue",
    re.IGNORECASE,
)
_ORACLE_QUOTING = frozenset({TokenType.RAW_STRING, TokenType.NATIONAL_RAW_STRING})
_TEXTS = frozenset({TokenType.STRING, TokenType.NATIONAL_STRING})


def check_query(query: str, dialect: str) -> str:
    """The query without its closing semicolon and comment.

    Raises `ValueError` naming what is not allowed; never repeats the text.
    """
    if len(query) > MAX_QUERY_CHARACTERS:
        raise ValueError(f"the query is longer than {MAX_QUERY_CHARACTERS} characters")
    if "\x00" in query or "$" in query or "/*!" in query:
        raise ValueError(
            "the query holds a NUL, a dollar sign or a conditional comment; write literals in single quotes"
        )
    if query.count("/*") > 1 and re.search(r"/\*(?:(?!\*/).)*/\*", query, re.DOTALL):
        raise ValueError("the query nests comments, which dialects read differently")
    try:
        parsed = sqlglot.parse(query, dialect=dialect)
        statements = [tree for tree in parsed if tree is not None and not isinstance(tree, exp.Semicolon)]
        tokens = sqlglot.tokenize(query, dialect=dialect)
    except (SqlglotError, RecursionError) as error:
        raise ValueError(f"the query is not readable as one SELECT{_position(error)}") from None
    if len(statements) != 1:
        raise ValueError("the query must be exactly one SELECT")
    _check_tree(statements[0])
    _check_calls([(token.token_type, token.text) for token in tokens])
    if dialect == "oracle":
        _check_oracle([(token.token_type, token.text) for token in tokens])
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens.pop()
    return query[: tokens[-1].end + 1]  # a comment at the end would take the bracket behind the query with it


def _check_tree(tree: exp.Expr) -> None:
    if not isinstance(tree, exp.Select | exp.SetOperation):
        raise ValueError("the query must be a SELECT (WITH … SELECT and UNION are fine)")
    for count, node in enumerate(tree.walk()):
        if count > MAX_QUERY_NODES:
            raise ValueError(f"the query has more than {MAX_QUERY_NODES} parts")
        if isinstance(node, _WRITES):
            raise ValueError("the query must only read: a statement that writes stands in it")
        if isinstance(node, exp.Into):
            raise ValueError("SELECT … INTO creates a table; the query must only read")
        if isinstance(node, exp.Lock):
            raise ValueError("FOR UPDATE and FOR SHARE lock rows; the query must only read")
        if isinstance(node, exp.Placeholder | exp.Parameter):
            raise ValueError("the query must not hold parameters (?, :name, @name)")


def _check_calls(tokens: list[tuple[TokenType, str]]) -> None:
    for (_, text), (following, _text) in itertools.pairwise(tokens):
        if following == TokenType.L_PAREN and _FORBIDDEN_FUNCTION.fullmatch(text):
            raise ValueError(f"the function {text[:60]!r} is not allowed in a query")


def _check_oracle(tokens: list[tuple[TokenType, str]]) -> None:
    """What Oracle has beside functions: packages, quoting of its own (`q'[…]'`), links to other databases (`table@link`)."""
    for kind, word in tokens:
        if kind in _TEXTS:
            continue
        if kind in _ORACLE_QUOTING or "@" in word:
            raise ValueError(
                "the query holds q'…' or @; write literals in single quotes, and no link to another database"
            )
        if _ORACLE_WORD.fullmatch(word):
            raise ValueError(f"{word[:60]!r} is not allowed in a query")


def _position(error: Exception) -> str:
    details = getattr(error, "errors", None)
    if details and details[0].get("line"):
        return f" (line {details[0]['line']}, column {details[0].get('col')})"
    return ""
