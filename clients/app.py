"""The Flower ClientApp: a thin edge around learning.py. Each message may run in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING

import structlog
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from clients.dataset import Dataset, open_dataset
from clients.description import describe
from clients.errors import ClientMisconfigured
from clients.receipts import note_what_leaves, signing_key
from core.errors import TejidoError
from core.logs import about, configure_logs
from core.settings import load_settings
from federation.config import FederationConfig
from federation.wire import from_record, to_record

if TYPE_CHECKING:
    from clients.carried import Carried, CarryFolder
    from clients.faults import Faults
    from clients.learning import Contribution, Task
    from clients.promises import Promises
    from federation.tensors import Tensors

app = ClientApp()
log = structlog.get_logger(__name__)
Handler = Callable[[Message, Context], RecordDict]


def _replying(handler: Handler) -> Callable[[Message, Context], Message]:
    """Send what the handler made; an error that we know becomes a refusal that the coordinator can read."""

    @wraps(handler)
    def reply(message: Message, context: Context) -> Message:
        configure_logs()
        # A simulation's processes serve one client after another.
        structlog.contextvars.clear_contextvars()
        with about(**_subject(message)):
            try:
                content = handler(message, context)
                asked = message.content.config_records.get("config") or ConfigRecord()
                records = content.array_records, content.metric_records, content.config_records
                note_what_leaves(load_settings(), asked, *records)
            except TejidoError as error:
                log.warning("the coordinator gets a refusal", code=error.code, reason=str(error))
                content = RecordDict({"refusal": ConfigRecord(dict(error.as_dict()))})
        structlog.contextvars.clear_contextvars()
        return Message(content, reply_to=message)

    return reply


def _subject(message: Message) -> dict[str, object]:
    """What the log lines of a message are about; a question before the run is about no round yet."""
    values = message.content.config_records.get("config") or ConfigRecord()
    return {name: values[name] for name in ("run", "round", "attempt") if name in values}


@app.query()
@_replying
def preflight(message: Message, context: Context) -> RecordDict:
    """Say who this is, what it holds and which base it has."""
    description = describe(_dataset(context), str(message.content.config_records["config"]["preset"]))
    log.info("asked whether it can take part", products=description.products)
    answer = ConfigRecord(
        {
            "client": description.client,
            "products": description.products,
            "catalogue-version": description.catalogue_version,
            "base-hash": description.base_hash,
        }
    )
    return RecordDict({"description": answer})


@app.train()
@_replying
def train(message: Message, context: Context) -> RecordDict:
    """Train on this client's own products; send the delta, how much it comes from, and what it is about."""
    from clients.carried import Carried
    from federation.error_feedback import compress

    _require_mode(message, "robust")
    done = _learn(message, context)
    encoding, bound = done.task.config.encoding, done.task.config.update_bound
    arrays, residual = compress(done.delta, done.carried.residual, encoding=encoding, bound=bound)
    done.folder.save(done.task.round, Carried(residual if encoding != "fp32" else {}, done.learned.moments))
    done.faults.crash_after_training()
    return update_message(as_sent(arrays, done.faults) if done.faults.attack else arrays, done.task, done.learned)


@app.query("masking_keys")
@_replying
def advertise_keys(message: Message, context: Context) -> RecordDict:
    """Begin a confidential round: fresh keys, for this attempt alone."""
    from clients.masking import advertise

    settings = load_settings()
    key = signing_key(settings) if settings.client_name else None
    return advertise(message, context, _dataset(context).client, key)


@app.query("masking_shares")
@_replying
def share_secrets(message: Message, context: Context) -> RecordDict:
    """Share this client's secrets of the round with the other clients, sealed for each."""
    from clients.masking import share

    return share(message, context, _promises(context))


@app.train("masked")
@_replying
def train_masked(message: Message, context: Context) -> RecordDict:
    """Train as in any round, and send the delta clipped and masked."""
    from clients.carried import Carried
    from clients.masking import accepted, masked

    _require_mode(message, "confidential")
    participant = accepted(message, context)
    done = _learn(message, context)
    arrays = masked(participant, done.delta, done.task.config, context, _promises(context))
    done.folder.save(done.task.round, Carried({}, done.learned.moments))
    done.faults.crash_after_training()
    return update_message(arrays, done.task, done.learned)


@app.query("masking_reveal")
@_replying
def reveal_shares(message: Message, context: Context) -> RecordDict:
    """Reveal what unmasks the sum of the round, and nothing that unmasks a single update."""
    from clients.masking import reveal

    return reveal(message, context, _promises(context))


def _require_mode(message: Message, mode: str) -> None:
    """Insist that a run of one mode does not ask for the update in the way of the other."""
    from federation.errors import MaskingRefused

    found = read_task(message.content).config.mode
    if found != mode:
        raise MaskingRefused(f"The run is {found}, and was asked for an update as a {mode} one.")


@dataclass(frozen=True)
class _Done:
    """A round's training, before anything of it is made ready to be sent."""

    task: Task
    faults: Faults
    folder: CarryFolder
    carried: Carried
    learned: Contribution
    delta: Tensors


def _learn(message: Message, context: Context) -> _Done:
    # Each message may start a process: the preflight shall not wait for PyTorch.
    from clients.carried import CarryFolder
    from clients.faults import NO_FAULTS, Faults
    from clients.learning import Learner
    from federation.torch_fixes import compute_alone

    compute_alone()
    settings, dataset = load_settings(), _dataset(context)
    task = read_task(message.content)
    faults = Faults(settings.simulation_faults or NO_FAULTS, dataset.client, task.round, task.attempt)
    faults.crash_before_training()
    learner = Learner(dataset, task, features_dir=settings.features_dir)
    start = from_record(
        message.content.array_records["arrays"], like=learner.model.state(), encoding=task.config.encoding_down
    )
    folder = CarryFolder(settings.features_dir, owner=dataset.client, run=task.run)
    carried = folder.before(task.round)
    learned = learner.learn(start, moments=carried.moments, alter=faults.products)
    seconds = {"encode_seconds": round(learned.encode_seconds, 2), "train_seconds": round(learned.train_seconds, 2)}
    log.info("trained", products=learned.examples, loss=round(learned.loss, 4), **seconds)
    return _Done(task, faults, folder, carried, learned, faults.delta(learned.delta))


@app.query("publish")
@_replying
def publish(message: Message, context: Context) -> RecordDict:
    """Embed a page of what this client has decided to publish; what is told of it goes back, and no picture."""
    from clients.publishing import Request, publish_page
    from federation.torch_fixes import compute_alone

    compute_alone()
    request = Request.of(message.content.config_records["config"])
    page = publish_page(
        _dataset(context),
        request,
        message.content.array_records["arrays"],
        cache=load_settings().features_dir,
        now=datetime.now(UTC),
    )
    told = ConfigRecord(
        {
            "products": json.dumps(page.offers),
            "published": page.published,
            "is-last": page.is_last,
            "revision": page.revision,
            "model-hash": request.model_hash,
            "page": request.page,
        }
    )
    return RecordDict({"page": told, "arrays": to_record({"vectors": page.vectors}, encoding="fp16")})


def read_task(content: RecordDict) -> Task:
    """What a round's message asks for.

    Raises:
        ClientMisconfigured: a number is none.
        FederationConfigError: a setting is out of its range.
    """
    from clients.learning import Task

    values = content.config_records["config"]
    return Task(
        run=str(values["run"]),
        config=FederationConfig.from_run_config(values),
        round=_whole(values["round"]),
        attempt=_whole(values["attempt"]),
        catalogue_version=str(values["catalogue-version"]),
        base_hash=str(values["base-hash"]),
    )


def update_message(arrays: ArrayRecord, task: Task, learned: Contribution) -> RecordDict:
    """An update, how much it comes from, and what it is about."""
    return RecordDict({"arrays": arrays, "metrics": _metrics(learned), "receipt": _receipt(task, learned)})


def as_sent(arrays: ArrayRecord, faults: Faults) -> ArrayRecord:
    """What a simulated attacker makes of its encoded update."""
    plain = {name: array.numpy() for name, array in arrays.items()}
    return ArrayRecord({name: Array(array) for name, array in faults.sent(plain).items()})


def _metrics(learned: Contribution) -> MetricRecord:
    return MetricRecord(
        {
            "num-examples": learned.examples,
            "held": learned.held,
            "loss": learned.loss,
            "encode-seconds": learned.encode_seconds,
            "train-seconds": learned.train_seconds,
        }
    )


def _receipt(task: Task, learned: Contribution) -> ConfigRecord:
    """What the update is about, for the coordinator to compare with what it asked for."""
    return ConfigRecord(
        {
            "run": task.run,
            "round": task.round,
            "attempt": task.attempt,
            "base-hash": task.base_hash,
            "encoding": task.config.encoding,
            "skipped-reasons": list(learned.skipped),
            "skipped-counts": list(learned.skipped.values()),
        }
    )


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise ClientMisconfigured(f"The coordinator sent {value!r} where a number was due.")
    return value


def _dataset(context: Context) -> Dataset:
    partition = context.node_config.get("partition-id")
    dataset = open_dataset(load_settings(), partition=int(partition) if partition is not None else None)
    structlog.contextvars.bind_contextvars(client=dataset.client)
    return dataset


def _promises(context: Context) -> Promises:
    from clients.promises import Promises

    return Promises(load_settings().features_dir, owner=_dataset(context).client)
