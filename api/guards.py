"""A linear look at a GraphQL document, before anything recursive touches it.

Strawberry's depth and alias limiters are exponential in fragments that spread each other twice (676 characters take
3.7 s), and the parser recurses. This guard only reads tokens, once, so its cost is bounded by the document's length.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from graphql import GraphQLSyntaxError
from graphql.language import Lexer, Source, TokenKind

from api.errors import QueryRejected, RequestInvalid

MAX_CHARS = 256 * 1024
"""Of a document: pictures belong into its variables, as documents are remembered."""
MAX_TOKENS = 1_000
MAX_NESTING = 32
MAX_FRAGMENTS = 10
MAX_SPREADS = 20
MAX_OPERATIONS = 1
REMEMBERED = 64
"""Documents that passed: a program asks with few."""

_OPENS = {TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L}
_CLOSES = {TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R}


@lru_cache(maxsize=REMEMBERED)
def check_document(document: str) -> None:
    """Let ``document`` pass to the parser, or say which limit it breaks.

    Raises:
        RequestInvalid: it is not even a sequence of GraphQL tokens.
        QueryRejected: too long, too many tokens, fragments, spreads or operations, or nested too deep.
    """
    if len(document) > MAX_CHARS:
        raise QueryRejected(
            f"The query has {len(document):,} characters; {MAX_CHARS:,} are allowed.", hint="Use variables."
        )
    try:
        seen = _count(document)
    except GraphQLSyntaxError as error:
        raise RequestInvalid(error.message, hint="Send one GraphQL query.") from None
    for what, limit in (("fragments", MAX_FRAGMENTS), ("spreads", MAX_SPREADS), ("operations", MAX_OPERATIONS)):
        if seen[what] > limit:
            raise QueryRejected(f"The query has {seen[what]} {what}; {limit} are allowed.", hint="Split the query.")


def _count(document: str) -> Counter[str]:
    lexer = Lexer(Source(document))
    seen: Counter[str] = Counter()
    depth = 0
    at_definition = True
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        seen["tokens"] += 1
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
        _check_size(seen["tokens"], depth)
    return seen


def _check_size(tokens: int, depth: int) -> None:
    if tokens > MAX_TOKENS:
        raise QueryRejected(f"The query has more than {MAX_TOKENS} tokens.", hint="Split the query; use variables.")
    if depth > MAX_NESTING:
        raise QueryRejected(f"The query is nested more than {MAX_NESTING} deep.", hint="Ask for fewer levels.")
