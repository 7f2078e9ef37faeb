"""Low-rank adapters (Hu et al. 2022) on chosen linear maps, by PEFT, with the A halves fixed.

An adapter adds ``(alpha / rank) · B A x``. Averaging the clients' A and B separately is biased: the mean of products is
not the product of means. With A drawn once from the model's seed and never trained (FFA-LoRA, Sun et al. 2024), the
update is linear in B, the mean is exact under every strategy, and half as much travels.
benchmarks/lora_aggregation.py compares this with averaging products and refactoring them.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import nn

from federation.towers.stages import Stage

FIXED, TRAINED = "lora_A", "lora_B"


def add_adapters(stages: nn.ModuleList, *, rank: int, alpha: float, seed: int) -> None:
    """Give every linear map that a stage offers an adapter, in place; all else is frozen.

    The A halves are uniform draws from integers of PCG64, the same on every machine; B starts at zero, so that the
    model starts as what it was.
    """
    targets = [
        f"{number}.{name}"
        for number, stage in enumerate(stages)
        if isinstance(stage, Stage)
        for name in stage.lora_targets
    ]
    stages.requires_grad_(False)
    if not targets:
        return
    # Importing PEFT brings in most of transformers: only here.
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # its own docs allow fractions
        target_modules=targets,
        lora_dropout=0.0,
    )
    with warnings.catch_warnings():
        # PEFT tells of settings that matter for saving in its own way, which we do not.
        warnings.simplefilter("ignore")
        inject_adapter_in_model(config, stages)
    generator = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in stages.named_parameters():
            if FIXED in name:
                bound = (3 / parameter[0].numel()) ** 0.5
                draws = (generator.random(tuple(parameter.shape)) * 2 - 1) * bound
                parameter.copy_(torch.from_numpy(draws.astype(np.float32)))
            parameter.requires_grad_(TRAINED in name)


def merge_adapters(stages: nn.ModuleList) -> None:
    """Fold the adapters into the maps that they stand beside: the same function, at the cost of the plain model."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in stages.modules():
        if isinstance(module, BaseTunerLayer):
            module.merge()
