"""The Flower ServerApp: a thin edge around coordinator.py. Its result lies in the run's folder, not in Flower."""

from __future__ import annotations

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from core.errors import TejidoError
from core.logs import configure_logs
from core.settings import load_settings
from federation.config import FederationConfig
from federation.torch_fixes import compute_alone
from server.checkpoints import RunFolder
from server.coordinator import coordinate
from server.stores import open_stores

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Coordinate the run; an error is written where whoever waits looks, then passed on to Flower."""
    configure_logs()
    compute_alone()
    settings = load_settings()
    folder = RunFolder(open_stores(settings).checkpoints, str(context.run_config["run-key"]))
    try:
        coordinate(grid, settings, FederationConfig.from_run_config(context.run_config), folder)
    except TejidoError as error:
        folder.say("failed", error=error.as_dict())
        raise
    except Exception as error:
        folder.say("failed", error={"code": "server.error", "message": f"{type(error).__name__}: {error}", "hint": ""})
        raise
