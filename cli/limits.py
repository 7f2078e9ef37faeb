"""What a command says of the products that a client may train on."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.errors import BadOption
from core.limits import NO_LIMIT, Limit

MaxExamplesOption = Annotated[
    int | None, typer.Option(help="Products that it may train on at most; where nothing is said, that stays as it is.")
]
NoMaxExamplesOption = Annotated[
    bool, typer.Option("--no-max-examples", help="It may train on all that it is given: takes a limit away.")
]


def said_limit(max_examples: int | None, *, none: bool) -> Limit:
    """What the two options come to.

    Raises:
        BadOption: no client can train on so few, or both are given.
    """
    if max_examples is not None and none:
        raise BadOption("--max-examples does not go with --no-max-examples.", hint="Leave one of them out.")
    if max_examples is not None and max_examples < 1:
        raise BadOption(
            f"--max-examples is {max_examples}.", hint="Give at least 1; --no-max-examples takes a limit away."
        )
    return NO_LIMIT if none else max_examples
