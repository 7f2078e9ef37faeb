"""`tejido demo`: the whole path with one command."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from valkey import Valkey

from catalog.partitions import parse_partition
from catalog.sources import open_source
from cli.airflow import Airflow, DagRun
from cli.api import SearchApi
from cli.demo.pipeline import Follower
from cli.demo.report import Outcome, make_report, summary
from cli.errors import BadOption
from cli.output import Format, FormatOption, emit, stderr
from cli.progress import terminal_progress
from cli.session import ADMIN, DEFAULT_STATE, StateOption, admin_password
from cli.stack import open_stack, show_addresses
from core.errors import TejidoError
from core.files import write_atomically
from core.names import client_names
from core.settings import Settings
from embedded.memory import PeakMemory
from embedded.stack import Stack
from federation.presets import load_preset

QUERIES = ("black shoes", "blue shirt for men", "red dress")


def demo(
    source: Annotated[
        str, typer.Option(help="Catalogue: hf:OWNER/NAME, dir:PATH (styles.csv and images/) or synthetic.")
    ] = "synthetic",
    products: Annotated[int | None, typer.Option(help="Take at most this many products.")] = None,
    clients: Annotated[int, typer.Option(help="How many clients train together.")] = 3,
    rounds: Annotated[int, typer.Option(help="How many federated rounds.")] = 3,
    preset: Annotated[str, typer.Option(help="Model preset: lite, or tiny for a quick try.")] = "lite",
    partition: Annotated[
        str,
        typer.Option(help="How products are spread: iid, 'dirichlet(0.5, subCategory)', season or gender."),
    ] = "iid",
    seed: Annotated[int, typer.Option(help="Seed of sampling, splits, partitions and training.")] = 0,
    state: StateOption = DEFAULT_STATE,
    exit_: Annotated[bool, typer.Option("--exit", help="Stop everything when done, instead of staying up.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the report to this JSON file.")] = None,
    how: FormatOption = Format.TEXT,
) -> None:
    """Run everything: services, catalogue, federated training, index, answered searches."""
    conf = _checked_options(
        {"source": source, "products": products, "partition": partition, "seed": seed, "rounds": rounds,
         "preset": preset},
        clients=clients,
    )  # fmt: skip
    started = time.monotonic()
    with open_stack(state, client_names(clients)) as (stack, memory):
        seconds = {"services": time.monotonic() - started}
        with _naming_the_crash(stack):
            outcome = _run(stack, memory, conf, seconds, started)
        result = make_report(source, outcome)
        if report is not None:
            write_atomically(report, json.dumps(result, indent=2, ensure_ascii=False).encode())
        emit(result, how, summary)
        if not exit_:
            show_addresses(stack)
            stack.wait()


def _checked_options(conf: dict[str, Any], *, clients: int) -> dict[str, Any]:
    """Refuse what cannot work before anything is started.

    Raises:
        BadOption: an option's value makes no sense.
        CatalogError: the source cannot be read or the partition is not understood.
    """
    for name, value in (("--clients", clients), ("--rounds", conf["rounds"]), ("--products", conf["products"])):
        if value is not None and value < 1:
            raise BadOption(f"{name} is {value}.", hint="Give at least 1.")
    if conf["source"].startswith("dir:"):
        conf["source"] = f"dir:{Path(conf['source'][4:]).expanduser().resolve()}"
    if not conf["source"].startswith("hf:"):
        open_source(conf["source"], limit=conf["products"], seed=conf["seed"])
    parse_partition(conf["partition"])
    load_preset(conf["preset"])
    return conf


@contextmanager
def _naming_the_crash(stack: Stack) -> Iterator[None]:
    """When something fails because a service died, say that the service died."""
    try:
        yield
    except TejidoError:
        stack.check()
        raise


def _run(stack: Stack, memory: PeakMemory, conf: dict[str, Any], seconds: dict[str, float], began: float) -> Outcome:
    settings = stack.settings()
    airflow = Airflow(
        settings.required("airflow_url"),
        username=settings.airflow_username,
        password=Path(settings.required("airflow_password_file")).read_text(),
    )
    with terminal_progress() as progress:
        shared = Valkey.from_url(settings.required("valkey_url"), socket_timeout=3)
        follower = Follower(airflow, shared, progress, stack.check)
        runs = follower.run_pipeline(_new_run_id(), conf)
    seconds |= {run.dag_id: run.seconds or 0.0 for run in runs}
    searching = time.monotonic()
    searches = _search(settings)
    seconds |= {"searches": time.monotonic() - searching, "total": time.monotonic() - began}
    return _outcome(airflow, runs, searches, seconds, memory.peak_mb)


def _new_run_id() -> str:
    return f"demo-{time.strftime('%Y%m%dT%H%M%S')}-{uuid4().hex[:6]}"


def _outcome(
    airflow: Airflow, runs: list[DagRun], searches: list[dict[str, Any]], seconds: dict[str, float], peak_rss_mb: float
) -> Outcome:
    etl, finetune, index = (run.run_id for run in runs)
    return Outcome(
        runs=runs,
        catalogue=airflow.result("catalog_etl", etl, "publish"),
        federation=airflow.result("federated_finetune", finetune, "train"),
        promotion=airflow.result("federated_finetune", finetune, "promote"),
        index=airflow.result("index_catalog", index, "build"),
        searches=searches,
        seconds=seconds,
        peak_rss_mb=peak_rss_mb,
    )


def _search(settings: Settings) -> list[dict[str, Any]]:
    """Three searches by words, one by the picture of the first product that they found."""
    stderr.print("[bold]Searching[/] through the API")
    api = SearchApi(settings.required("api_url"), username=ADMIN, password=admin_password(settings))
    api.wait_until_ready()
    api.sign_in()
    answers = [api.by_text(query) for query in QUERIES]
    found = answers[0]["hits"][0]
    picture = api.picture(found["id"])
    return [*answers, api.by_image(picture, shown=f"picture of {found['productDisplayName']}")]
