"""Who this process is to MLflow. The password comes from a file and goes to MLflow's client, and nowhere else."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from core.settings import Settings, SettingsError


@dataclass(frozen=True)
class Login:
    """A user of an MLflow server, and the password."""

    username: str
    password: str = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Login | None:
        """The one that the settings name; None: MLflow is asked without.

        Raises:
            SettingsError: the file is missing, or empty.
        """
        path = settings.mlflow_password_file
        if settings.mlflow_uri is None or path is None:
            return None
        try:
            password = path.read_text().strip()
        except OSError as error:
            raise SettingsError(
                f"TEJIDO_MLFLOW_PASSWORD_FILE cannot be read: {error.strerror}.",
                hint="`tejido up` makes it; see docs/reference/settings.md.",
            ) from None
        if not password:
            raise SettingsError(
                "TEJIDO_MLFLOW_PASSWORD_FILE is empty.", hint="Put the password of MLflow's user into it."
            )
        return cls(settings.mlflow_username, password)

    def present(self) -> None:
        """Let MLflow's client take it with its next request: it looks into this process's variables each time.

        They are set here and not at the process's start, so that /proc shows them to nobody.
        """
        os.environ["MLFLOW_TRACKING_USERNAME"] = self.username
        os.environ["MLFLOW_TRACKING_PASSWORD"] = self.password
