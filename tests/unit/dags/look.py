"""Run by Airflow's own interpreter: prints as JSON how the DAGs are drawn, and what the trigger says and does."""

from __future__ import annotations

import asyncio
import json
import os
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

FILES = ("catalog_etl", "federated_finetune", "index_catalog", "housekeeping", "client_wave")


def drawn(name: str) -> dict[str, Any]:
    """One DAG."""
    module = import_module(name)
    dag = getattr(module, name)()
    return {
        "schedule": type(dag.timetable).__name__,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "callback": getattr(dag.on_failure_callback, "__name__", None),
        "tasks": {
            task.task_id: {
                "next": sorted(task.downstream_task_ids),
                "outlets": [asset.name for asset in task.outlets],
                "is_mapped": task.is_mapped,
                "retries": task.retries,
            }
            for task in dag.tasks
        },
    }


def trigger() -> Any:
    """The trigger as a triggerer makes it, from what it wrote down."""
    made = import_module("federated_run_trigger").FederatedRunTrigger(run="run-1", progress_key="p")
    path, kwargs = made.serialize()
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)(**kwargs)


async def waited(status: int, said: str) -> list[dict[str, Any]]:
    """The events of a trigger whose command ends with a status and a last line."""
    os.environ |= {"STATUS": str(status), "SAID": said}
    return [dict(event.payload) async for event in trigger().run()]


async def is_ended_by_cancelling() -> bool:
    """Whether the command ends with its trigger, as when a triggerer stops."""
    os.environ["SLEEP"] = "60"
    note = Path(os.environ["PID_FILE"])
    note.unlink()
    waiting = asyncio.ensure_future(anext(trigger().run()))
    await asyncio.sleep(0.5)
    process = Path("/proc") / note.read_text().strip() / "stat"
    was_running = process.exists()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0.2)
    return was_running and (not process.exists() or " Z " in process.read_text())


def raised(status: int) -> str:
    """What a task raises for a command that ended with this status."""
    error = import_module("platform_command").failure(
        "federation wait", status, '{"error": {"message": "M", "hint": "H", "code": "c"}}'
    )
    return f"{type(error).__name__}: {error}"


def reported(task_id: str | None) -> list[str]:
    """The command that keeps a failure."""
    os.environ |= {"STATUS": "0", "SLEEP": ""}
    context: dict[str, Any] = {"dag": SimpleNamespace(dag_id="d"), "run_id": "r", "reason": "timed_out"}
    if task_id:
        context["ti"] = SimpleNamespace(task_id=task_id)
    import_module("platform_command").report_failure(context)
    return Path(os.environ["PID_FILE"]).with_suffix(".arguments").read_text().split()


if __name__ == "__main__":
    found = {
        "dags": {name: drawn(name) for name in FILES},
        "events": asyncio.run(waited(75, "last words")),
        "is_ended_by_cancelling": asyncio.run(is_ended_by_cancelling()),
        "reported": [reported("train"), reported(None)],
        "raised": {str(status): raised(status) for status in (1, 75, -9)},
    }
    print(json.dumps(found))
