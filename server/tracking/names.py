"""What experiments, the registered model and its aliases are called."""

from __future__ import annotations

ETL_EXPERIMENT = "catalog-etl"
FEDERATED_EXPERIMENT = "federated-clip"
MODEL = "fashion-clip"
CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous"
ARTIFACTS = "model"
"""The folder of a run's artifacts that holds its model."""
