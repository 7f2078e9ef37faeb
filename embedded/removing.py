"""`tejido client remove` on an embedded stack: a client's services end, its keys and traces go; that is proved."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from core.names import client_bucket_name
from embedded.clients import Clients
from embedded.enrolment import Enrolment, Enrolments
from embedded.environments import client_env_path, platform_env_path, policy_path, read_environment
from embedded.object_store import reader_secrets
from embedded.state import StateFolder
from server.client_list import bucket_of
from server.leaving import Evidence, Left, files_left, forget_client, look_for, parts_in_models


def remove_client(state: StateFolder, name: str, *, delete_bucket: bool = False) -> Left:
    """Remove a client from a stack that runs; one whose removal was broken off is removed to the end.

    Args:
        state: of the stack.
        name: of the client.
        delete_bucket: whether what lies in its bucket goes, too; it is the client's own.

    Raises:
        ClientNotEnrolled: there is no such client.
        EnrolmentFailed: the running stack could not end its services.
        TejidoError: a service did not answer; give the command again.
    """
    clients = Clients(state)
    with clients.alone():
        return _remove(state, clients, name, delete_bucket=delete_bucket)


def _remove(state: StateFolder, clients: Clients, name: str, *, delete_bucket: bool) -> Left:
    found = Enrolments(state).get(name)
    keys = bucket_of(state.run / "clients.json", name)
    if found is None or not found.is_removed:
        before = clients.require(name)
        wanted = replace(before, is_removed=True, revision=before.revision + 1)
    else:
        # Broken off: what the stack could not do it tries again, what it is at is waited for.
        wanted = replace(found, revision=found.revision + clients.has_failed(name))
    clients.say(wanted)
    settings = read_environment(platform_env_path(state))
    held = forget_client(settings, name)
    files = _files(state, clients, name)
    data = state.root / "s3" / client_bucket_name(name)
    for path in [path for paths in files.values() for path in paths] + ([data] if delete_bucket else []):
        _delete(path)
    services = clients.services_of(name)
    evidence = [Evidence("services", "the running stack", ", ".join(services) or "none", not services)]
    evidence += look_for(settings, name, held, keys)
    evidence += [files_left(what, *paths) for what, paths in files.items()]
    left = Left(name, (*evidence, _of_the_bucket(data)), parts_in_models(settings, name))
    if left.is_proved:
        clients.say(replace(wanted, is_cleared=True))
    return left


def knows(state: StateFolder, name: str) -> bool:
    """Whether there is anything of this client to remove.

    Raises:
        ClientNotEnrolled: there is not.
    """
    found: Enrolment | None = Enrolments(state).get(name)
    if found is None or not found.is_removed:
        Clients(state).require(name)
    return True


def _files(state: StateFolder, clients: Clients, name: str) -> dict[str, list[Path]]:
    readers = [state.secrets / secret for secret in reader_secrets(client_bucket_name(name))]
    return {
        "key files": [*clients.secrets(name), *readers],
        "settings and policy": [client_env_path(state, name), policy_path(state, name), clients.folder(name, None)],
        "caches and working folders": [state.root / folder / name for folder in ("cache", "clientapps", "supernodes")],
        "receipts and promises": [state.root / "receipts" / name],
        "logs": [path for kind in ("supernode", "clientapps", "s3-client") for path in _logs(state, f"{kind}-{name}")],
    }


def _logs(state: StateFolder, slug: str) -> list[Path]:
    return [state.logs / f"{slug}.log", state.logs / f"{slug}.previous.log"]


def _delete(path: Path) -> None:
    # A link goes, and not what it points to.
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _of_the_bucket(data: Path) -> Evidence:
    files = sum(1 for path in data.rglob("*") if path.is_file()) if data.exists() else 0
    found = f"{files:,} files of its own, which nobody has keys to" if files else "none"
    return Evidence("contents of its bucket", f"files: s3/{data.name}", found, not files, is_kept=bool(files))
