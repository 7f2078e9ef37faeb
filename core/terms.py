"""Words that a run's settings, its contract, a client's policy and its receipts have in common."""

from __future__ import annotations

from typing import Literal

Mode = Literal["robust", "confidential"]
"""Of a run: the coordinator sees each update as it is, or masked ones, of which it learns the sum."""
ROBUST: Mode = "robust"
CONFIDENTIAL: Mode = "confidential"
Trainable = Literal["heads", "lora", "full"]
"""What is trained and travels: the heads alone, adapters in the last blocks too, or those blocks whole."""
Privacy = Literal["none", "client-level"]
"""Whether the model shall be differentially private, and at which level."""
