"""`tejido`: the entry point. Every command lives in a file of its own; this one joins them and renders errors."""

from __future__ import annotations

import sys

import typer

from cli.output import show_error, stderr
from core.errors import TejidoError
from core.logs import configure_logs

INTERRUPTED = 130

app = typer.Typer(
    name="tejido",
    help="Federated learning for visual catalogue search.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def register_commands() -> None:
    """Add every command. Imports stand here so that ``tejido --help`` does not load what it does not need."""
    from cli import doctor, search, token, up
    from cli.catalog import app as catalog
    from cli.demo import command as demo
    from cli.federation import app as federation
    from cli.index import app as index
    from cli.model import app as model

    app.command()(up.up)
    app.command()(demo.demo)
    app.command()(doctor.doctor)
    app.add_typer(catalog, name="catalog")
    app.add_typer(federation, name="federation")
    app.add_typer(model, name="model")
    app.add_typer(index, name="index")
    app.command()(search.search)
    app.command()(token.token)


def main() -> None:
    """Run the command line; every expected failure is one clear message and a non-zero exit."""
    configure_logs()
    register_commands()
    try:
        app()
    except TejidoError as error:
        show_error(error)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        stderr.print("stopped", highlight=False)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
