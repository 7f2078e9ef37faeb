"""`tejido`: the entry point. Every command lives in a file of its own; this one joins them and renders errors."""

from __future__ import annotations

import sys

import typer

from cli.commands import register
from cli.output import show_error, stderr
from core.errors import TejidoError
from core.logs import configure_logs

INTERRUPTED = 130

app = typer.Typer(
    name="tejido",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def tejido() -> None:
    """Federated learning for visual catalogue search."""


def main() -> None:
    """Run the command line; every expected failure is one clear message and a non-zero exit."""
    configure_logs()
    register(app, sys.argv[1:])
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
