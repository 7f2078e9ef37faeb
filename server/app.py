"""The Flower ServerApp: a thin edge around coordinator.py. Its result lies in the run's folder, not in Flower."""

from __future__ import annotations

import structlog
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from core.errors import EX_TEMPFAIL, TejidoError
from core.logs import about, configure_logs
from core.settings import Settings, load_settings
from federation.config import FederationConfig
from federation.torch_fixes import compute_alone
from server.checkpoints import RunFolder
from server.contracts import RunContract
from server.enrolments import removed
from server.exchange import Mailbox
from server.publishing import publish
from server.stores import Stores, open_stores

PUBLISH = "publish"
"""The task of a run that asks clients for what they publish; any other is training."""
app = ServerApp()
log = structlog.get_logger(__name__)


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Coordinate a run, or a wave; an error is written where whoever waits looks, then passed on to Flower."""
    configure_logs()
    compute_alone()
    settings = load_settings()
    stores = open_stores(settings)
    folder = RunFolder(stores.checkpoints, str(context.run_config["run-key"]), stores.seals)
    with about(run=folder.name):
        _coordinate(grid, context, settings, stores, folder)


def _coordinate(grid: Grid, context: Context, settings: Settings, stores: Stores, folder: RunFolder) -> None:
    try:
        contract = RunContract.of(context.run_config, stores.checkpoints, folder.name)
        if context.run_config.get("task") == PUBLISH:
            mailbox = Mailbox(grid, removed=lambda: removed(stores.data))
            publish(mailbox, stores.checkpoints, folder, contract=contract)
            return
        # MLflow and Matplotlib take as long as PyTorch to import, and a wave needs neither.
        from server.coordinator import coordinate

        config, commit = FederationConfig.from_run_config(context.run_config), str(context.run_config["code-commit"])
        coordinate(grid, settings, config, folder, commit=commit, contract=contract)
    except TejidoError as error:
        log.error("the run failed", code=error.code, error=str(error))
        _tell(folder, error.as_dict(), may_retry=error.exit_status == EX_TEMPFAIL)
        raise
    except Exception as error:
        log.error("the run failed", exc_info=error)
        # Most likely Flower itself is gone; what is a defect of ours fails again, three times at most.
        message = f"{type(error).__name__}: {error}"
        _tell(folder, {"code": "server.error", "message": message, "hint": ""}, may_retry=True)
        raise


def _tell(folder: RunFolder, error: dict[str, str], *, may_retry: bool) -> None:
    """Add the error to the status, unless another coordinator has the run by now: it is not its error."""
    if folder.is_mine:
        folder.say("failed", error=error, may_retry=may_retry, **folder.told_rounds())
