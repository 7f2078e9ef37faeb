"""Files of base weights: where they are, and the proof that they are the ones that were meant."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from federation.errors import WeightsError

PACKAGE_SCHEME = "package:"
HUB_SCHEME = "hub:"
FILE_SCHEME = "file:"
WEIGHTS_DIR = "TEJIDO_WEIGHTS_DIR"
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""What open_clip calls the weights of a model on the Hugging Face hub, in the order in which they are looked for."""


@dataclass(frozen=True)
class Weights:
    """One file of base weights."""

    tower: str
    loader: str
    path: str
    """``package:NAME/inner/path``, ``hub:OWNER/NAME``, or ``file:NAME`` inside ``TEJIDO_WEIGHTS_DIR``."""
    sha256: str | None = None
    """The pin; None: the preset leaves it open, and a run pins the file that its coordinator has."""

    def digest(self) -> str:
        """Hex SHA-256 of the pinned file, or of the one that is here where the preset pins none.

        Raises:
            WeightsError: nothing is pinned and there is no file.
        """
        return self.sha256 or _digest(self.existing_path())

    def existing_path(self) -> Path:
        """The file; raises WeightsError when there is none."""
        path = resolve(self.path)
        if not path.is_file():
            raise WeightsError(f"Base weights are missing: {self.path}.", hint=_how_to_get(self.path))
        return path

    def verified_path(self) -> Path:
        """The file, once its SHA-256 was found to be the pinned one.

        Raises:
            WeightsError: it is missing, or holds something else.
        """
        path = self.existing_path()
        found = _digest(path)
        if self.sha256 and found != self.sha256:
            raise WeightsError(
                f"Base weights {self.path} have SHA-256 {found[:12]}…, the preset pins {self.sha256[:12]}….",
                hint="Install the locked version of that package; clients with other weights cannot take part.",
            )
        return path


def resolve(path: str) -> Path:
    """Where a file of weights is on this machine.

    A name that came with a run never leads outside the packages, the hub's cache and this machine's own
    ``TEJIDO_WEIGHTS_DIR``: a coordinator does not choose what a client reads.

    Raises:
        WeightsError: the package is not installed, the hub cannot be reached, or the name is no file's.
    """
    if path.startswith(PACKAGE_SCHEME):
        return _in_package(path.removeprefix(PACKAGE_SCHEME))
    if path.startswith(HUB_SCHEME):
        return _from_hub(path.removeprefix(HUB_SCHEME))
    name = path.removeprefix(FILE_SCHEME)
    if not FILE_NAME.fullmatch(name):
        raise WeightsError(f"{name!r} is no name of a weights file.", hint=_how_to_get(path))
    return Path(os.environ.get(WEIGHTS_DIR, "weights")) / name


def _in_package(path: str) -> Path:
    # Found without importing the package.
    package, _, inner = path.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(f"The package {package} is not installed.", hint="Run `make setup` again.")
    return Path(next(iter(spec.submodule_search_locations))) / inner


def _from_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    for file in HUB_FILES:
        if isinstance(cached := try_to_load_from_cache(name, file), str):
            return Path(cached)
    for file in HUB_FILES:
        try:
            return Path(hf_hub_download(name, file))
        except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
            # A repository without this file may have the other; a hub that cannot be reached has neither.
            if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
                continue
            raise WeightsError(f"{name} cannot be had from the hub: {error}.", hint=_how_to_get(name)) from None
    raise WeightsError(f"{name} holds none of {', '.join(HUB_FILES)}.", hint=_how_to_get(name))


def _digest(path: Path) -> str:
    """The file's SHA-256, computed again whenever it may have changed."""
    found = path.stat()
    return _digest_of(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=64)
def _digest_of(path: Path, _mtime_ns: int, _size: int) -> str:
    return file_sha256(path)


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _how_to_get(path: str) -> str:
    if path.startswith(PACKAGE_SCHEME):
        return "Run `make setup` again."
    return f"Put the file into {WEIGHTS_DIR} and name it: preset `open_clip:NAME@FILE`."
