"""What a federated run is told: one frozen object, carried as Flower's run-config."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, get_args

from core.terms import CONFIDENTIAL, ROBUST, Mode, Privacy, Trainable
from federation.errors import FederationConfigError
from federation.presets import load_preset

RunConfig = dict[str, str | int | float | bool]
TRAINABLE = get_args(Trainable)
HEADS = ("linear", "residual")
OPTIMISER_STATES = ("fresh", "kept")
MODES = get_args(Mode)
PRIVACY = get_args(Privacy)
ENCODINGS = ("fp32", "fp16", "int8")
STRATEGIES = (
    "fedavg", "fednova", "fedavgm", "fedadam", "fedyogi", "fedadagrad",
    "fedmedian", "fedtrimmedavg", "krum", "multikrum", "bulyan", "fedcosine",
)  # fmt: skip
PRIVATE_STRATEGIES = ("fedavg", "fedavgm", "fedadam", "fedyogi", "fedadagrad")
"""Those whose step depends on the mean of all updates alone; docs/explanation/privacy.md says why no others."""
PRIVATE_CLIENTS = 3
"""With two, each knows the other's update but for the noise, or, of a masked sum, as it is."""


@dataclass(frozen=True, kw_only=True)
class FederationConfig:
    """Settings of one run; every field has a key of the same name, with dashes, in ``[tool.flwr.app.config]``."""

    # What is trained.
    preset: str = "lite"
    """Towers and heads; a file of federation/presets, or ``open_clip:NAME@WEIGHTS``."""
    trainable: str = "heads"
    """What is trained and travels: the heads alone, adapters in the last blocks too, or those blocks whole."""
    head: str = "linear"
    """``linear``, or ``residual``: a linear head plus a two-layer correction."""
    image_blocks: int = 2
    """How many of the image tower's last blocks ``lora`` and ``full`` train; -1: all."""
    text_blocks: int = 2
    """The same for the text tower."""
    lora_rank: int = 8
    lora_alpha: float = 16.0

    purpose: str = "Train one search model for the catalogues of all clients, each where it lies."
    """What the run is for: a sentence for people, in the contract that clients sign; at most 500 characters."""
    start_from: str = ""
    """Key of a completed run of the same preset whose best state is where this one starts; empty: the base model."""

    # How a client trains.
    rounds: int = 3
    local_epochs: int = 30
    """Passes over a client's products in each round."""
    batch_size: int = 128
    """Products that are contrasted with each other in one step."""
    micro_batch: int = 0
    """Products whose gradients are in memory at a time; 0: the whole batch. Changes memory, not the result."""
    learning_rate: float = 2e-3
    """Of AdamW, on the client, for the heads."""
    tower_learning_rate: float = 5e-4
    """The same for adapters and blocks of the towers."""
    warmup_rounds: int = 0
    """Rounds over which the learning rates rise to their full values."""
    final_learning_rate: float = 1.0
    """Share of the learning rates that is left in the last round, reached on a cosine."""
    weight_decay: float = 0.1
    dropout: float = 0.6
    """Share of each feature that is hidden from the heads while training: they overfit small catalogues otherwise."""
    optimiser_state: str = "fresh"
    """Whether a client's AdamW begins each round anew, or goes on from its last one's moments, kept on its disk."""
    proximal_mu: float = 0.0
    """FedProx: strength of the pull towards the round's global state."""
    views: int = 1
    """Treatments of each picture that are cached and drawn from; the first is the picture as it is."""
    template_captions: float = 0.0
    """Share of captions that are replaced by a sentence made of the product's attributes."""
    seed: int = 0
    """Of the first heads, the batches, the dropout and the sampling."""

    # How updates are combined, and how they travel.
    strategy: str = "fedavg"
    server_learning_rate: float = 0.0
    """Of the server's optimiser; 0: the strategy's own, 1 or, for the adaptive ones, 0.01."""
    server_momentum: float = 0.9
    """Of fedavgm; the first moment's decay in fedadam, fedyogi and fedadagrad."""
    server_beta2: float = 0.99
    """The second moment's decay in fedadam and fedyogi."""
    server_tau: float = 1e-3
    """Keeps the adaptive optimisers from dividing by nothing."""
    attackers: int = 1
    """Clients that may be malicious, for the robust strategies."""
    encoding: str = "fp32"
    """How updates travel."""
    encoding_down: str = "fp32"
    """How the state travels to the clients."""
    update_bytes: int = 1_000_000_000
    """At most so many bytes are in one reply of a client; stands in the run's contract."""

    # What the coordinator sees, and what the model may tell about any one client.
    mode: str = ROBUST
    """``robust``: it sees each update and validates it; ``confidential``: masked ones, of which it learns the sum."""
    privacy: str = "none"
    """``client-level``: each client's update is clipped, all count alike, and their sum gets noise."""
    clip_norm: float = 1.0
    """L2 norm, over all tensors together, to which a client clips its update in a private or confidential run."""
    noise_multiplier: float = 1.0
    """Standard deviation of the noise on the sum of a private round's updates, in clip norms."""
    delta: float = 1e-5
    """Of (epsilon, delta); well below one in the number of clients."""
    epsilon_budget: float = 10.0
    """A private run ends before the round that would bring its epsilon above this."""

    # Who takes part, and for how long a round waits.
    clients: str = ""
    """Names of the clients, separated by commas; empty: all of the catalogue."""
    sample: float = 1.0
    """Share of the clients that are asked in each round."""
    quorum: float = 0.5
    """Share of the asked clients whose valid updates a round needs."""
    min_clients: int = 2
    """Clients that must be online before the first round."""
    min_coverage: float = 0.9
    """Share of its products that a client must have trained on for its update to count."""
    norm_bound: float = 5.0
    """An update counts only if its norm is at most this many times the median of those recently accepted."""
    wait_s: float = 60.0
    """How long to wait for clients."""
    deadline_s: float = 600.0
    """How long a round waits for replies; the first one includes encoding on the clients."""
    round_retries: int = 1
    """How often a round without a quorum is tried again before the run fails."""

    def __post_init__(self) -> None:
        load_preset(self.preset)
        for name, allowed in (
            ("trainable", TRAINABLE), ("head", HEADS), ("optimiser_state", OPTIMISER_STATES),
            ("strategy", STRATEGIES), ("mode", MODES), ("privacy", PRIVACY),
            ("encoding", ENCODINGS), ("encoding_down", ENCODINGS),
        ):  # fmt: skip
            _require(getattr(self, name) in allowed, name, getattr(self, name), f"one of: {', '.join(allowed)}")
        for name, (low, high) in WHOLE.items():
            _require(low <= getattr(self, name) <= high, name, getattr(self, name), f"{low} to {high}")
        for name in POSITIVE:
            value = getattr(self, name)
            _require(math.isfinite(value) and value > 0, name, value, "a positive number")
        for name in ("weight_decay", "proximal_mu", "server_learning_rate"):
            value = getattr(self, name)
            _require(math.isfinite(value) and value >= 0, name, value, "0 or a positive number")
        for name in ("dropout", "server_momentum", "server_beta2"):
            _require(0 <= getattr(self, name) < 1, name, getattr(self, name), "0 to below 1")
        for name in ("template_captions", "min_coverage"):
            _require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "0 to 1")
        for name in ("sample", "quorum", "final_learning_rate"):
            _require(0 < getattr(self, name) <= 1, name, getattr(self, name), "above 0, at most 1")
        for holds, kind in ((self.is_private, "private"), (self.is_confidential, "confidential")):
            fits = not holds or self.strategy in PRIVATE_STRATEGIES
            _require(fits, "strategy", self.strategy, f"in a {kind} run, one of: {', '.join(PRIVATE_STRATEGIES)}")
        # What is masked is rounded onto a grid of its own.
        can_mask = not self.is_confidential or self.encoding == "fp32"
        _require(can_mask, "encoding", self.encoding, "in a confidential run, fp32")
        _require(0 < self.delta <= 0.01, "delta", self.delta, "above 0, at most 0.01")
        _require(self.norm_bound > 1, "norm_bound", self.norm_bound, "above 1")
        _require(0 < len(self.purpose) <= 500, "purpose", self.purpose, "1 to 500 characters")

    def to_run_config(self) -> RunConfig:
        """Keys and values for ``flwr run --run-config`` and for messages to clients."""
        return {name.replace("_", "-"): value for name, value in asdict(self).items()}

    @classmethod
    def from_run_config(cls, values: Mapping[str, Any]) -> FederationConfig:
        """Read the keys that are ours and ignore the rest.

        Raises:
            FederationConfigError: a value has the wrong type or lies outside its range.
        """
        chosen: dict[str, Any] = {}
        for field in fields(cls):
            key = field.name.replace("_", "-")
            if key in values:
                chosen[field.name] = _typed(field.name, values[key], type(field.default))
        return replace(cls(), **chosen)

    @property
    def client_names(self) -> tuple[str, ...]:
        """The clients that the run names, each once, sorted; empty: all of the catalogue."""
        return tuple(sorted({name.strip() for name in self.clients.split(",") if name.strip()}))

    @property
    def is_private(self) -> bool:
        """Whether the model shall be differentially private."""
        return self.privacy != "none"

    @property
    def is_confidential(self) -> bool:
        """Whether the coordinator shall learn sums of updates alone."""
        return self.mode == CONFIDENTIAL

    @property
    def counts_alike(self) -> bool:
        """Whether an update counts whatever others are, and as much as each: no one can compare them, or none may."""
        return self.is_private or self.is_confidential

    @property
    def update_bound(self) -> float:
        """The longest update that a client sends, as an L2 norm; infinite where nothing bounds it."""
        return self.clip_norm if self.counts_alike else math.inf

    @property
    def clients_needed(self) -> int:
        """Clients that a run needs at least."""
        return max(self.min_clients, self._least)

    def replies_needed(self, clients: int) -> int:
        """Valid updates that a round with ``clients`` clients needs."""
        return max(self._least, math.ceil(self.quorum * clients))

    @property
    def _least(self) -> int:
        return PRIVATE_CLIENTS if self.counts_alike else 1


WHOLE = {
    "rounds": (1, 1000),
    "local_epochs": (1, 1000),
    "batch_size": (2, 65536),
    "micro_batch": (0, 65536),
    "image_blocks": (-1, 1000),
    "text_blocks": (-1, 1000),
    "lora_rank": (1, 1024),
    "warmup_rounds": (0, 1000),
    "views": (1, 16),
    "attackers": (0, 10_000),
    "min_clients": (1, 1_000_000),
    "round_retries": (0, 100),
    "seed": (0, 2**31 - 1),
    "update_bytes": (1, 2**40),
}
POSITIVE = (
    "learning_rate", "tower_learning_rate", "lora_alpha", "server_tau", "wait_s", "deadline_s",
    "clip_norm", "noise_multiplier", "epsilon_budget",
)  # fmt: skip


def _typed(name: str, value: Any, kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    _require(isinstance(value, kind) and not (kind is int and isinstance(value, bool)), name, value, kind.__name__)
    return value


def _require(holds: bool, name: str, value: object, allowed: str) -> None:
    if not holds:
        raise FederationConfigError(f"{name} is {value!r}.", hint=f"Allowed: {allowed}.")
