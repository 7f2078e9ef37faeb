"""What a run starts from: the base model, or what an earlier run has learned."""

from __future__ import annotations

from catalog.objects import ObjectStore
from federation.adapters import TRAINED
from federation.config import FederationConfig
from federation.tensors import Tensors
from server.checkpoints import RunFolder
from server.errors import RunDiffers, RunUnknown
from server.sealing import Seals


def learned_before(store: ObjectStore, config: FederationConfig, base_hash: str, seals: Seals | None = None) -> Tensors:
    """The best state of the run that ``config.start_from`` names; empty where it names none.

    Raises:
        RunUnknown: no run of that key was completed.
        RunDiffers: it was about another base model, or about adapters of another seed.
        ModelDamaged, ArtifactRefused: its state or result is not what was written.
    """
    if not config.start_from:
        return {}
    folder = RunFolder(store, config.start_from, seals)
    done, about = folder.believed_result(), folder.about()
    if done is None or about is None:
        raise RunUnknown(
            f"No run {config.start_from!r} was completed, so none can start from it.",
            hint="`tejido federation status` says how far it is.",
        )
    if about.base_hash != base_hash:
        raise RunDiffers(
            f"Run {folder.name} trained the base model {about.base_hash[:12]}…, this one's is {base_hash[:12]}….",
            hint="Start from a run of the same preset.",
        )
    state = folder.state_after(int(done["chosen_round"]))
    if any(TRAINED in name for name in state) and about.config["seed"] != config.seed:
        raise RunDiffers(
            f"Run {folder.name} has another seed, and its adapters belong to a fixed half that its seed drew.",
            hint=f"Take its seed: {about.config['seed']}.",
        )
    return state


def go_on_from(initial: Tensors, learned: Tensors) -> Tensors:
    """``initial``, with everything that was learned before in its place.

    Raises:
        RunDiffers: something of it has no place there: this run would train less than the earlier one, or otherwise.
    """
    unfit = sorted(n for n, array in learned.items() if n not in initial or initial[n].shape != array.shape)
    if unfit:
        raise RunDiffers(
            f"The earlier run trained {len(unfit)} tensors that this one does not, {unfit[0]} first.",
            hint="Train at least the same part: head, trainable, image-blocks, text-blocks, lora-rank.",
        )
    return initial | learned
