"""Settings of all tests of the coordinator."""

from __future__ import annotations

import pytest
import torch
from flwr.supercore.task_identity import TaskIdentity

# Two threads that wait for each other on a busy machine are slower than one.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def task_identity() -> None:
    """Flower tells each of its processes who it is; messages cannot be made without."""
    TaskIdentity.run_id = 1
    TaskIdentity.task_id = 1
    TaskIdentity.node_id = 1
