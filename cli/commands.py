"""The tree of commands. Only what the command line asks for is imported: torch, MLflow and Flower take seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module

import typer


@dataclass(frozen=True)
class Command:
    """A command: the module that holds a function of the same name (or ``function``)."""

    module: str
    function: str = ""
    hidden: bool = False


@dataclass(frozen=True)
class Group:
    """Commands under one word."""

    help: str
    commands: dict[str, Command | Group] = field(default_factory=dict)


TREE: dict[str, Command | Group] = {
    "up": Command("cli.up"),
    "demo": Command("cli.demo.command"),
    "doctor": Command("cli.doctor"),
    "catalog": Group(
        "Load a catalogue, and look at the one that is live.",
        {
            "load": Command("cli.catalog.load"),
            "stats": Command("cli.catalog.stats"),
            "plot": Command("cli.catalog.plot"),
            "upload": Command("cli.catalog.upload"),
            # The steps of `load`, one a process, as the DAG catalog_etl runs them.
            "obtain": Command("cli.catalog.obtain", hidden=True),
            "clean": Command("cli.catalog.clean", hidden=True),
            "assign": Command("cli.catalog.assign", hidden=True),
            "fill": Command("cli.catalog.fill", hidden=True),
            "hand-over": Command("cli.catalog.hand_over", "hand_over", hidden=True),
            "publish": Command("cli.catalog.publish", hidden=True),
        },
    ),
    "federation": Group(
        "Run federated rounds, for real or in simulation.",
        {
            "run": Command("cli.federation.run"),
            "resume": Command("cli.federation.resume"),
            "start": Command("cli.federation.start"),
            "wait": Command("cli.federation.wait"),
            "stop": Command("cli.federation.stop"),
            "simulate": Command("cli.federation.simulate"),
            "baselines": Command("cli.federation.baselines"),
            "status": Command("cli.federation.status"),
            "contract": Command("cli.federation.contract"),
            "preflight": Command("cli.federation.preflight"),
        },
    ),
    "model": Group(
        "Compare model versions; promote the challenger, or go back.",
        {
            "list": Command("cli.model.list_versions", "list_versions"),
            "compare": Command("cli.model.compare"),
            "promote": Command("cli.model.promote"),
            "rollback": Command("cli.model.rollback"),
            "history": Command("cli.model.history"),
            "lineage": Command("cli.model.lineage"),
            "seal": Command("cli.model.seal"),
        },
    ),
    "index": Group(
        "Build an index version and see which one is live.",
        {
            "build": Command("cli.index.build"),
            "status": Command("cli.index.status"),
            "verify": Command("cli.index.verify"),
        },
    ),
    "client": Group(
        "Add clients, rekey and remove them; publish what they keep to themselves.",
        {
            "add": Command("cli.client.add"),
            "rotate": Command("cli.client.rotate"),
            "remove": Command("cli.client.remove"),
            "policy": Group("What a client takes part in.", {"check": Command("cli.client.policy", "check")}),
            "publish": Command("cli.client.publish"),
            "wave": Command("cli.client.wave"),
            "published": Command("cli.client.published"),
            "receipts": Command("cli.client.receipts"),
            "contracts": Command("cli.client.contracts"),
            "key": Command("cli.client.key"),
        },
    ),
    "setup": Group(
        "What docker-compose.yaml runs before the services start.",
        {
            "files": Command("cli.setup.files"),
            "client": Command("cli.setup.client"),
            "stores": Command("cli.setup.stores"),
            "enrol": Command("cli.setup.enrol"),
        },
    ),
    "failures": Group(
        "See which DAG runs failed.",
        {
            "list": Command("cli.failures.list_recent", "list_recent"),
            "record": Command("cli.failures.record", hidden=True),
        },
    ),
    "housekeeping": Command("cli.housekeeping"),
    "metrics": Group("What monitoring reads.", {"serve": Command("cli.metrics.serve")}),
    "user": Group(
        "Say who may log in to the API.",
        {"add": Command("cli.user.add"), "list": Command("cli.user.list_users", "list_users")},
    ),
    "keys": Group(
        "Rotate the keys that sign access tokens, or those that seal models and checkpoints.",
        {"rotate": Command("cli.keys.rotate"), "list": Command("cli.keys.list_keys", "list_keys")},
    ),
    "session": Group(
        "See who is logged in, and end sessions.",
        {
            "list": Command("cli.sessions.list_sessions", "list_sessions"),
            "end": Command("cli.sessions.end"),
        },
    ),
    "machine": Group(
        "Say which programs may ask the API.",
        {
            "add": Command("cli.machine.add"),
            "list": Command("cli.machine.list_machines", "list_machines"),
            "remove": Command("cli.machine.remove"),
        },
    ),
    "audit": Group(
        "Read the audit log: log-ins, grants, champions, refused updates.",
        {"show": Command("cli.audit.show"), "verify": Command("cli.audit.verify")},
    ),
    "search": Command("cli.search"),
    "token": Command("cli.token"),
}


def register(app: typer.Typer, arguments: Sequence[str]) -> None:
    """Add to ``app`` the commands that ``arguments`` may mean: one, or all where they name none (help, a typo)."""
    _add_all(app, TREE, arguments)


def _add_all(app: typer.Typer, entries: Mapping[str, Command | Group], arguments: Sequence[str]) -> None:
    for name, entry in _chosen(entries, arguments).items():
        if isinstance(entry, Command):
            _add(app, name, entry)
            continue
        group = typer.Typer(help=entry.help, no_args_is_help=True)
        _add_all(group, entry.commands, arguments[1:])
        app.add_typer(group, name=name)


def _chosen(entries: Mapping[str, Command | Group], arguments: Sequence[str]) -> Mapping[str, Command | Group]:
    return {name: entry for name, entry in entries.items() if name in arguments[:1]} or entries


def _add(app: typer.Typer, name: str, command: Command) -> None:
    function = getattr(import_module(command.module), command.function or name)
    app.command(name, hidden=command.hidden)(function)
