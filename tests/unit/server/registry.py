"""A registry of models in memory, and what else a decision about the champion touches."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from catalog.audit import Action
from catalog.errors import DatabaseUnreachable, IndexVersionMissing
from catalog.index import IndexVersion
from server.errors import ModelMissing
from server.tracking import MODEL, ModelVersion

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def model(version: str, **tags: str) -> ModelVersion:
    """A registered version."""
    return ModelVersion(MODEL, version, f"run-{version}", f"hash-{version}", "tiny", "v1", (), 0, tags)


def index_of(version: str, number: int, *, state: str = "retired", catalogue: str = "v1") -> IndexVersion:
    """An index that a model version built."""
    return IndexVersion(
        number, MODEL, version, f"hash-{version}", catalogue, 8, state, 10, 1.0, NOW, NOW  # type: ignore[arg-type]
    )  # fmt: skip


@dataclass
class FakeRegistry:
    """Versions and aliases."""

    versions: dict[str, ModelVersion] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    moved: list[tuple[str, str]] = field(default_factory=list)
    fails_at: str = ""
    """The alias whose move fails."""

    def require(self, alias_or_version: str) -> ModelVersion:
        found = self.versions.get(self.aliases.get(alias_or_version, alias_or_version))
        if found is None:
            raise ModelMissing(f"There is no version {alias_or_version!r}.")
        return found

    def set_alias(self, alias: str, version: str) -> None:
        if alias == self.fails_at:
            raise ConnectionError("MLflow is gone.")
        self.moved.append((alias, version))
        self.aliases[alias] = version


@dataclass
class FakeTrail:
    """The trail, as rows."""

    rows: list[dict[str, str | None]] = field(default_factory=list)
    is_down: bool = False

    def record(
        self, action: Action, *, actor: str, model_name: str, from_version: str | None, to_version: str, reason: str
    ) -> None:
        if self.is_down:
            raise DatabaseUnreachable("The database is gone.")
        row = {"action": action, "actor": actor, "from": from_version, "to": to_version, "reason": reason}
        self.rows.append(row)

    def was_champion(self, model_name: str, version: str) -> bool:
        return any(version in (row["from"], row["to"]) for row in self.rows if row["action"] != "refused")


@dataclass
class FakeIndex:
    """Index versions, newest first."""

    all: list[IndexVersion] = field(default_factory=list)
    drops: int | None = None
    """The version that a build drops just before it is swapped in."""

    def live(self) -> IndexVersion | None:
        return next((version for version in self.all if version.state == "live"), None)

    def versions(self) -> list[IndexVersion]:
        return self.all

    def swap(self, version: int) -> IndexVersion:
        if version == self.drops:
            raise IndexVersionMissing("It is gone.")
        retired = [replace(entry, state="retired") if entry.state == "live" else entry for entry in self.all]
        self.all = [replace(entry, state="live") if entry.id == version else entry for entry in retired]
        return next(entry for entry in self.all if entry.id == version)
