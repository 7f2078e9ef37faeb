"""`tejido client remove` on an embedded stack: a client's services end, its keys and traces go; that is proved."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.names import client_bucket_name
from core.settings import Bucket, ClientBucket, Settings
from embedded.clients import Clients
from embedded.enrolment import Enrolment, Enrolments
from embedded.environments import client_env_path, platform_env_path, policy_path, read_environment
from embedded.state import StateFolder
from server.leaving import ACCESS, Evidence, files_left, forget_client, look_for
from server.participation import parts_of
from server.tracking import Tracker


@dataclass(frozen=True)
class Left:
    """That a client is gone, and what of it is not."""

    client: str
    evidence: tuple[Evidence, ...]
    """Each line was looked up after the deed."""
    models: tuple[dict[str, Any], ...] | None
    """Model versions that it took part in; None: there is no MLflow to ask."""

    @property
    def is_proved(self) -> bool:
        """Whether nothing is left but what is meant to stay."""
        return all(line.is_gone or line.is_kept for line in self.evidence)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "client": self.client,
            "proved": self.is_proved,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "evidence": [asdict(line) for line in self.evidence],
            "models": None if self.models is None else list(self.models),
        }


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
    clients, enrolments = Clients(state), Enrolments(state)
    found = enrolments.get(name)
    if found is None or not found.is_removed:
        before = clients.require(name)
        keys = _keys(state, name)
        clients.say(replace(before, is_removed=True, revision=before.revision + 1))
    else:
        keys = None
    settings = read_environment(platform_env_path(state))
    held = forget_client(settings, name)
    files = _files(state, clients, name)
    data = state.root / "s3" / client_bucket_name(name)
    for path in [path for paths in files.values() for path in paths] + ([data] if delete_bucket else []):
        _delete(path)
    evidence = look_for(settings, name, held, keys)
    evidence += [files_left(what, *paths) for what, paths in files.items()]
    return Left(name, (*evidence, _of_the_bucket(data)), _models(settings, name))


def remove_from_platform(settings: Settings, name: str) -> Left:
    """The platform's side alone, where the client's services and keys are in containers of their own.

    Raises:
        TejidoError: a service did not answer; give the command again.
    """
    entries = json.loads(Path(settings.required("clients_file")).read_text())
    keys = next((ClientBucket(**entry) for entry in entries if entry["name"] == name), None)
    held = forget_client(settings, name)
    # Its store and its keys go with its containers; until then it still answers to them.
    evidence = [
        replace(line, is_kept=not line.is_gone, found=f"{line.found}, until its containers are removed")
        if line.what == ACCESS
        else line
        for line in look_for(settings, name, held, keys)
    ]
    return Left(name, tuple(evidence), _models(settings, name))


def knows(state: StateFolder, name: str) -> bool:
    """Whether there is anything of this client to remove.

    Raises:
        ClientNotEnrolled: there is not.
    """
    found: Enrolment | None = Enrolments(state).get(name)
    if found is None or not found.is_removed:
        Clients(state).require(name)
    return True


def _keys(state: StateFolder, name: str) -> Bucket | None:
    path = state.run / "clients.json"
    entries = [ClientBucket(**entry) for entry in json.loads(path.read_text())] if path.exists() else []
    return next((entry for entry in entries if entry.name == name), None)


def _files(state: StateFolder, clients: Clients, name: str) -> dict[str, list[Path]]:
    owner = client_bucket_name(name)
    readers = [state.secrets / f"s3-{owner}-reader-{kind}-key" for kind in ("access", "secret")]
    return {
        "key files": [*clients.secrets(name), *readers],
        "settings and policy": [client_env_path(state, name), policy_path(state, name), clients.folder(name, None)],
        "caches and working folders": [state.root / folder / name for folder in ("cache", "clientapps", "supernodes")],
        "logs": [path for kind in ("supernode", "clientapps", "s3-client") for path in _logs(state, f"{kind}-{name}")],
    }


def _logs(state: StateFolder, slug: str) -> list[Path]:
    return [state.logs / f"{slug}.log", state.logs / f"{slug}.previous.log"]


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _of_the_bucket(data: Path) -> Evidence:
    files = sum(1 for path in data.rglob("*") if path.is_file()) if data.exists() else 0
    found = f"{files:,} files of its own, which nobody has keys to" if files else "none"
    return Evidence("contents of its bucket", f"files: s3/{data.name}", found, not files, is_kept=bool(files))


def _models(settings: Settings, name: str) -> tuple[dict[str, Any], ...] | None:
    return None if settings.mlflow_uri is None else tuple(parts_of(Tracker.of(settings), name))
