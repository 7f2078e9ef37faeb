"""`tejido client publish`: a client decides what of its own may be published; its word lies in its own bucket."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.client.session import NameArgument, client_settings
from cli.errors import BadOption
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption
from clients.dataset import open_dataset
from clients.publication import Publication, withdraw_pictures, write_publication

HINT = "Give --all, --article-type or --product, or --withdraw."


def publish(
    name: NameArgument = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that its bucket holds.")] = False,
    article_type: Annotated[list[str] | None, typer.Option(help="Products of this type; may be given often.")] = None,
    product: Annotated[list[int] | None, typer.Option(help="One product by its number; may be given often.")] = None,
    begins: Annotated[str, typer.Option("--from", help="Not before this moment, as in 2027-03-01T00:00+01:00.")] = "",
    withdraw: Annotated[bool, typer.Option(help="Nothing any more; what was published goes.")] = False,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Write down what may be published. Photos stay in the client's bucket; what is told of them is found."""
    chosen = everything or bool(article_type) or bool(product)
    if chosen == withdraw:
        raise BadOption("It is not said what may be published." if not chosen else "Both or neither.", hint=HINT)
    dataset = open_dataset(client_settings(state, name), partition=None)
    try:
        publication = Publication(
            everything=everything,
            article_types=tuple(article_type or ()),
            references=tuple(product or ()),
            begins=begins,
            withdrawn=withdraw,
        )
    except ValueError as error:
        raise BadOption(f"--from is {begins!r}: {error}.", hint="Give a time with its zone, in ISO 8601.") from None
    covered = 0 if withdraw else sum(publication.covers(found) for found in dataset.products())
    write_publication(dataset.store, publication)
    hidden = withdraw_pictures(dataset.store) if withdraw else 0
    told = {"client": dataset.client, "products": covered, "withdrawn": withdraw, "pictures_removed": hidden}
    emit(told, how, _text)


def _text(told: dict[str, Any]) -> str:
    if told["withdrawn"]:
        return f"{told['client']} publishes nothing any more; its products leave the index with the next wave."
    return (
        f"{told['client']} may publish {told['products']:,} products; `tejido client wave` brings them into the index."
    )
