"""What a client says about itself before a run. Imports no PyTorch: the question shall be answered at once."""

from __future__ import annotations

from dataclasses import dataclass

from clients.dataset import Dataset
from federation.presets import load_preset


@dataclass(frozen=True)
class Description:
    """What a client tells about itself before a run."""

    client: str
    products: int
    catalogue_version: str
    base_hash: str


def describe(dataset: Dataset, preset_name: str) -> Description:
    """Who this is, how much it holds, and which base weights it really has.

    Raises:
        WeightsError: the weights installed here are not those that the preset pins.
    """
    preset = load_preset(preset_name)
    preset.verify_weights()
    return Description(dataset.client, dataset.manifest.products, dataset.manifest.version, preset.base_hash)
