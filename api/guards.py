"""A linear look at a GraphQL document, before anything recursive touches it.

Strawberry's depth and alias limiters are exponential in fragments that spread each other twice (676 characters take
3.7 s), validation compares every two fields of one name (a thousand tokens take 170 ms), and the parser recurses. This
guard only reads tokens, once, so its cost is bounded by the document's length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

from graphql import GraphQLSyntaxError
from graphql.language import Lexer, Source, Token, TokenKind

from api.errors import QueryRejected, RequestInvalid

MAX_CHARS = 16 * 1024
"""Of a document: reading a character takes up to a microsecond, and what is long belongs into variables."""
MAX_TOKENS = 1_000
"""Comments are counted too."""
MAX_PAIRS = 2_000
"""Of equal names: a name that stands n times makes n·(n - 1)/2, as often as validation may compare two fields."""
MAX_NESTING = 32
MAX_DIGITS = 64
"""Of a number: Python reads none of 4,300 and more."""
MAX_FRAGMENTS = 10
MAX_SPREADS = 20
MAX_OPERATIONS = 1
MAX_VALUES = 2_000
"""In variables, each list, object and what is in them: fifty products have 700."""
MAX_OPENED = MAX_VALUES + 2 * MAX_TOKENS
"""Brackets that open in a body: those of variables, and those of the query's text."""
REMEMBERED = 64
"""Documents that passed: a program asks with few."""

_OPENS = {TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L}
_NUMBERS = {TokenKind.INT, TokenKind.FLOAT}
_CLOSES = {TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R}


@lru_cache(maxsize=REMEMBERED)
def check_document(document: str) -> None:
    """Let ``document`` pass to the parser, or say which limit it breaks.

    Raises:
        RequestInvalid: it is not even a sequence of GraphQL tokens.
        QueryRejected: too long, too many tokens, fragments, spreads, operations or repetitions, or nested too deep.
    """
    if len(document) > MAX_CHARS:
        raise QueryRejected(
            f"The query has {len(document):,} characters; {MAX_CHARS:,} are allowed.", hint="Use variables."
        )
    # Before the lexer walks over them: it makes a token of each comment. A text with as many belongs into variables.
    if document.count("#") > MAX_TOKENS:
        raise QueryRejected(f"The query has more than {MAX_TOKENS} comments.", hint="Send it without.")
    try:
        seen = _count(document)
    except GraphQLSyntaxError as error:
        raise RequestInvalid(error.message, hint="Send one GraphQL query.") from None
    for what, limit in (("fragments", MAX_FRAGMENTS), ("spreads", MAX_SPREADS), ("operations", MAX_OPERATIONS)):
        if seen[what] > limit:
            raise QueryRejected(f"The query has {seen[what]} {what}; {limit} are allowed.", hint="Split the query.")


def check_nesting(body: bytes) -> None:
    """Let a body pass to the JSON parser, which holds the interpreter until it is done: 8 ms for 60,000 empty lists.

    Raises:
        RequestInvalid: it opens more lists and objects than a query and its variables may have.
    """
    if body.count(b"[") + body.count(b"{") > MAX_OPENED:
        raise RequestInvalid(
            f"The body opens more than {MAX_OPENED:,} lists and objects.", hint="Send fewer at a time."
        )


def check_variables(variables: Mapping[str, object] | None) -> None:
    """Let variables pass to be coerced, which takes a microsecond or two for each value of them.

    Raises:
        QueryRejected: too many values, or nested too deep.
    """
    level: list[object] = [variables or {}]
    values, depth = 0, 0
    while level:
        values, depth = values + len(level), depth + 1
        if values > MAX_VALUES:
            raise QueryRejected(f"The variables hold more than {MAX_VALUES:,} values.", hint="Send fewer at a time.")
        if depth > MAX_NESTING:
            raise QueryRejected(f"The variables are nested more than {MAX_NESTING} deep.", hint="Send fewer levels.")
        level = [inner for value in level for inner in _inside(value)]


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def _count(document: str) -> Counter[str]:
    lexer = Lexer(Source(document))
    seen: Counter[str] = Counter()
    names: Counter[str] = Counter()
    depth = 0
    at_definition = True
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        seen["tokens"] += 1 + _comments_before(token)
        if at_definition:
            # What stands first decides: `fragment X on …`, or any way to begin an operation.
            is_fragment = token.kind is TokenKind.NAME and token.value == "fragment"
            seen["fragments" if is_fragment else "operations"] += 1
        at_definition = False
        if token.kind in _OPENS:
            depth += 1
        elif token.kind in _CLOSES:
            depth -= 1
            at_definition = depth == 0 and token.kind is TokenKind.BRACE_R
        elif token.kind is TokenKind.SPREAD:
            seen["spreads"] += 1
        elif token.kind in _NUMBERS:
            _check_number(token.value or "")
        elif token.kind is TokenKind.NAME:
            seen["pairs"] += names[token.value or ""]
            names[token.value or ""] += 1
        _check_size(seen["tokens"], depth)
        _check_repetition(seen["pairs"])
    _check_size(seen["tokens"] + _comments_before(token), depth)
    return seen


def _comments_before(token: Token) -> int:
    """How many comments the lexer has passed over on its way to ``token``."""
    comments = 0
    while (before := token.prev) is not None and before.kind is TokenKind.COMMENT:
        comments, token = comments + 1, before
    return comments


def _check_number(digits: str) -> None:
    if len(digits) > MAX_DIGITS:
        raise QueryRejected(f"A number of the query has more than {MAX_DIGITS} digits.", hint="Send a shorter one.")


def _check_repetition(pairs: int) -> None:
    if pairs > MAX_PAIRS:
        raise QueryRejected("The query repeats the same names too often.", hint="Ask for each field once.")


def _check_size(tokens: int, depth: int) -> None:
    if tokens > MAX_TOKENS:
        raise QueryRejected(f"The query has more than {MAX_TOKENS} tokens.", hint="Split the query; use variables.")
    if depth > MAX_NESTING:
        raise QueryRejected(f"The query is nested more than {MAX_NESTING} deep.", hint="Ask for fewer levels.")
