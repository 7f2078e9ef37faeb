"""Files of models in folders, as MLflow keeps them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from server.tracking import ModelVersion


@dataclass
class ModelFiles:
    """Files of runs' models, as MLflow keeps them."""

    root: Path

    def file_names(self, run_id: str) -> list[str]:
        return sorted(path.name for path in (self.root / run_id).iterdir())

    def read_file(self, run_id: str, name: str) -> bytes:
        return (self.root / run_id / name).read_bytes()

    def write_files(self, run_id: str, folder: Path) -> None:
        shutil.copytree(folder, self.root / run_id, dirs_exist_ok=True)

    def delete_file(self, run_id: str, name: str) -> None:
        (self.root / run_id / name).unlink()

    def download(self, version: ModelVersion, folder: Path) -> Path:
        return Path(shutil.copytree(self.root / version.run_id, folder / "model"))
