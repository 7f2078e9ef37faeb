"""Starts the embedded stack for a command, tells how it goes, and shows where everything is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from cli.output import stderr
from cli.session import ADMIN, ADMIN_PASSWORD
from core.errors import TejidoError
from deployment.stores import ensure_admin
from embedded.layout import Parts
from embedded.memory import PeakMemory
from embedded.running import Event
from embedded.stack import Stack


@contextmanager
def open_stack(state: Path, clients: Sequence[str], parts: Parts | None = None) -> Iterator[tuple[Stack, PeakMemory]]:
    """The running stack and its memory meter; everything has ended when the block is left."""
    stderr.print(
        f"[bold]Starting the services[/] for {len(clients)} clients; state and logs in {state}", highlight=False
    )
    with PeakMemory() as memory, Stack(state, clients, parts=parts, tell=_tell) as stack:
        ensure_admin(stack.settings().required("postgres_dsn"), stack.state.secret(ADMIN_PASSWORD))
        try:
            yield stack, memory
        except TejidoError as error:
            # Said at once: ending the services takes some seconds more.
            stderr.print(f"  [red]✗[/] {escape(error.message.splitlines()[0])}", highlight=False, soft_wrap=True)
            raise
        finally:
            stderr.print("Stopping the services …")


@contextmanager
def open_parts(state: Path, clients: Sequence[str], parts: Parts) -> Iterator[Stack]:
    """Some services of a stack, for as long as a command needs them."""
    stderr.print(f"[bold]Starting what is needed[/]; state and logs in {state}", highlight=False)
    with Stack(state, clients, parts=parts, tell=_tell) as stack:
        yield stack


def show_addresses(stack: Stack) -> None:
    """Say where everything is and how to log in."""
    secrets = stack.state.secrets
    rows = [
        ("Search", stack.urls["API"], f"{ADMIN}, password in {secrets / ADMIN_PASSWORD}"),
        ("API", f"{stack.urls['API']}/docs", "the same"),
        ("Airflow", str(stack.settings().airflow_url), f"admin, password in {stack.settings().airflow_password_file}"),
        ("MLflow", str(stack.settings().mlflow_uri), f"admin, password in {stack.settings().mlflow_password_file}"),
        ("PostgreSQL", stack.urls["PostgreSQL"], f"URL in {stack.platform_env}"),
    ]
    table = Table.grid(padding=(0, 2))
    for row in rows:
        table.add_row(*row)
    stderr.print(Panel(table, title="Up until Ctrl-C", title_align="left", expand=False))


def _tell(event: Event) -> None:
    if event.kind in ("ready", "notice"):
        mark = "[green]✓[/]" if event.kind == "ready" else "[yellow]![/]"
        stderr.print(f"  {mark} {event.text}", highlight=False, soft_wrap=True)
