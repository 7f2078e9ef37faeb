"""What a model is: its preset, which part of it is trained, and the seed that it started from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from federation.config import FederationConfig
from federation.errors import FederationConfigError, PresetError
from federation.presets import Preset, load_preset, parse_preset

INPUT_CUT = -1
"""The cut below everything: nothing is frozen, and what is cached is the prepared input."""
ALL_BLOCKS = -1


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Everything that is needed to build a model but its trained tensors."""

    preset: Preset
    trainable: str
    head: str
    image_blocks: int
    text_blocks: int
    lora_rank: int
    lora_alpha: float
    seed: int
    """Of the first heads and of the adapters' fixed halves."""

    @classmethod
    def of(cls, config: FederationConfig) -> ModelSpec:
        """The model that a run trains.

        Raises:
            FederationConfigError: it asks for blocks that the preset's towers have not.
        """
        names = [field.name for field in fields(cls) if field.name != "preset"]
        spec = cls(preset=load_preset(config.preset), **{name: getattr(config, name) for name in names})
        for kind, wanted, there in (
            ("image", config.image_blocks, spec.preset.image_blocks),
            ("text", config.text_blocks, spec.preset.text_blocks),
        ):
            if config.trainable != "heads" and (wanted > there or (wanted and not there)):
                raise FederationConfigError(
                    f"{kind}_blocks is {wanted}, the {kind} tower of {config.preset} has {there} that can be trained.",
                    hint=f"Take at most {there}, or 0 to leave that tower as it is.",
                )
        return spec

    @property
    def image_cut(self) -> int:
        """How many of the image tower's blocks are computed once; all of them: features are cached."""
        return self._cut(self.image_blocks, self.preset.image_blocks)

    @property
    def text_cut(self) -> int:
        """The same for the text tower."""
        return self._cut(self.text_blocks, self.preset.text_blocks)

    @property
    def needs_towers(self) -> bool:
        """Whether anything above the cuts belongs to a tower: heads alone are built without open_clip."""
        return (self.image_cut, self.text_cut) != (self.preset.image_blocks, self.preset.text_blocks)

    def to_json(self) -> str:
        """As stored beside a model's tensors; the preset's own text is part of it."""
        values = {**asdict(self), "preset": json.loads(self.preset.source)}
        return json.dumps(values, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelSpec:
        """Read what `to_json` wrote; PresetError when it is something else."""
        try:
            values = json.loads(text)
            values["preset"] = parse_preset(json.dumps(values["preset"]))
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise PresetError(f"The model's description cannot be read: {error!r}.", hint="Train anew.") from None

    def _cut(self, trained: int, there: int) -> int:
        if self.trainable == "heads" or not there:
            return there
        if trained == ALL_BLOCKS:
            return INPUT_CUT if self.trainable == "full" else 0
        return there - trained
