"""Everything that MLflow is told or asked: runs and their curves, model versions and their aliases.

The only package that imports mlflow. It never uses MLflow's model loaders: what is stored is data, see models.py.
"""

from __future__ import annotations

from core.settings import Settings
from server.stores import tracking_uri

# First: it tells MLflow how to behave before anything imports it.
from server.tracking.connection import Connection
from server.tracking.login import Login
from server.tracking.names import (
    ARTIFACTS,
    CHALLENGER,
    CHAMPION,
    ETL_EXPERIMENT,
    FEDERATED_EXPERIMENT,
    MODEL,
    PREVIOUS,
)
from server.tracking.registry import ModelVersion, Registry
from server.tracking.runs import Point, Run, Runs

__all__ = [
    "ARTIFACTS",
    "CHALLENGER",
    "CHAMPION",
    "ETL_EXPERIMENT",
    "FEDERATED_EXPERIMENT",
    "MODEL",
    "PREVIOUS",
    "Connection",
    "Login",
    "ModelVersion",
    "Point",
    "Run",
    "Tracker",
]


class Tracker(Runs, Registry):
    """The MLflow server of this process's settings: its runs, and its registry of models."""

    @classmethod
    def of(cls, settings: Settings) -> Tracker:
        """The server that the settings name, asked as the user that they name.

        Raises:
            SettingsError: they name none, or a password that cannot be read.
        """
        return cls(tracking_uri(settings), Login.of(settings))
