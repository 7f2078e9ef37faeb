"""Model versions and their aliases."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.entities import RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from server.errors import ModelMissing
from server.tracking.connection import Connection
from server.tracking.names import ARTIFACTS, MODEL

MAX_DESCRIPTION = 4_900
"""MLflow keeps 5,000 characters."""


@dataclass(frozen=True)
class ModelVersion:
    """One registered version, with what the registry says about it."""

    name: str
    version: str
    run_id: str
    content_hash: str
    preset: str
    catalogue_version: str
    aliases: tuple[str, ...]
    created_at_ms: int
    tags: Mapping[str, str]


class Registry(Connection):
    """The registered model `MODEL`."""

    def register(self, run_id: str, folder: Path, *, tags: Mapping[str, str]) -> str:
        """Upload a model's files to its run and register them as the next version; returns the version."""
        with self._reached():
            self._client.log_artifacts(run_id, str(folder), ARTIFACTS)
            self._ensure_model()
            source = f"{self._client.get_run(run_id).info.artifact_uri}/{ARTIFACTS}"
            created = self._client.create_model_version(MODEL, source, run_id=run_id, tags=dict(tags))
            self._client.log_batch(run_id, tags=[RunTag("model_version", str(created.version))])
        return str(created.version)

    def registered(self, run_id: str) -> str | None:
        """The version that `register` made of a run, if it came to that."""
        with self._reached():
            found = self._client.search_model_versions(f"run_id='{run_id}'")
        return str(found[0].version) if found else None

    def set_alias(self, alias: str, version: str) -> None:
        """Move an alias. It is never deleted first: a reader always finds one of the two versions."""
        with self._reached():
            self._client.set_registered_model_alias(MODEL, alias, version)

    def tag_version(self, version: str, tags: Mapping[str, str]) -> None:
        """Note something about a version where everybody sees it."""
        with self._reached():
            for key, value in tags.items():
                self._client.set_model_version_tag(MODEL, version, key, value)

    def describe_version(self, version: str, markdown: str) -> None:
        """What MLflow's page of a version shows first, in place of what it showed before."""
        with self._reached():
            self._client.update_model_version(MODEL, version, markdown[:MAX_DESCRIPTION])

    def description(self, version: str) -> str:
        """What `describe_version` wrote last."""
        with self._reached():
            return str(self._client.get_model_version(MODEL, version).description or "")

    def find(self, alias_or_version: str) -> ModelVersion | None:
        """The version of that number, or the one that an alias points to; None when there is none."""
        with self._reached():
            try:
                if alias_or_version.isdigit():
                    found = self._client.get_model_version(MODEL, alias_or_version)
                else:
                    found = self._client.get_model_version_by_alias(MODEL, alias_or_version)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise
        return _version(found, found.aliases)

    def require(self, alias_or_version: str) -> ModelVersion:
        """Like `find`; raises ModelMissing when there is none."""
        found = self.find(alias_or_version)
        if found is None:
            raise ModelMissing(
                f"There is no version {alias_or_version!r} of {MODEL}.", hint="Train one: `tejido federation run`."
            )
        return found

    def versions(self) -> list[ModelVersion]:
        """All versions, newest first."""
        with self._reached():
            found = self._client.search_model_versions(f"name='{MODEL}'")
            # A search leaves the aliases out; the model knows them all, whatever the number of versions.
            moved = dict(self._client.get_registered_model(MODEL).aliases) if found else {}
        named = [_version(v, [alias for alias, to in moved.items() if str(to) == str(v.version)]) for v in found]
        return sorted(named, key=lambda v: int(v.version), reverse=True)

    def download(self, version: ModelVersion, folder: Path) -> Path:
        """Fetch a version's files below ``folder``; returns the folder that holds them."""
        folder.mkdir(parents=True, exist_ok=True)
        with self._reached():
            return Path(self._client.download_artifacts(version.run_id, ARTIFACTS, str(folder)))

    def file_names(self, run_id: str) -> list[str]:
        """Names of the files of a run's model."""
        with self._reached():
            return [Path(found.path).name for found in self._client.list_artifacts(run_id, ARTIFACTS)]

    def read_file(self, run_id: str, name: str) -> bytes:
        """One of them."""
        with tempfile.TemporaryDirectory(prefix="tejido-file-") as folder, self._reached():
            return Path(self._client.download_artifacts(run_id, f"{ARTIFACTS}/{name}", folder)).read_bytes()

    def write_files(self, run_id: str, folder: Path) -> None:
        """Add all files of a folder to a run's model, each in place of one of the same name."""
        with self._reached():
            self._client.log_artifacts(run_id, str(folder), ARTIFACTS)

    def delete_file(self, run_id: str, name: str) -> None:
        """Remove one of them."""
        with self._reached():
            where = self._client.get_run(run_id).info.artifact_uri
            stored = get_artifact_repository(where, tracking_uri=self.uri)
            stored.delete_artifacts(f"{ARTIFACTS}/{name}")  # type: ignore[no-untyped-call]

    def _ensure_model(self) -> None:
        try:
            self._client.create_registered_model(MODEL)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def _version(found: Any, aliases: Iterable[str]) -> ModelVersion:
    tags = dict(found.tags)
    return ModelVersion(
        name=MODEL,
        version=str(found.version),
        run_id=str(found.run_id),
        content_hash=tags.get("content_hash", ""),
        preset=tags.get("preset", ""),
        catalogue_version=tags.get("catalogue_version", ""),
        aliases=tuple(sorted(aliases)),
        created_at_ms=int(found.creation_timestamp),
        tags=tags,
    )
