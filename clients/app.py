"""The Flower ClientApp: a thin edge around learning.py. Each message may run in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from clients.dataset import Dataset, open_dataset
from clients.description import describe
from clients.errors import ClientMisconfigured
from core.errors import TejidoError
from core.logs import configure_logs
from core.settings import load_settings
from federation.config import FederationConfig
from federation.wire import from_record, to_record

app = ClientApp()
Handler = Callable[[Message, Context], RecordDict]


def _replying(handler: Handler) -> Callable[[Message, Context], Message]:
    """Send what the handler made; an error that we know becomes a refusal that the coordinator can read."""

    @wraps(handler)
    def reply(message: Message, context: Context) -> Message:
        configure_logs()
        try:
            content = handler(message, context)
        except TejidoError as error:
            content = RecordDict({"refusal": ConfigRecord(dict(error.as_dict()))})
        return Message(content, reply_to=message)

    return reply


@app.query()
@_replying
def preflight(message: Message, context: Context) -> RecordDict:
    """Say who this is, what it holds and which base it has."""
    description = describe(_dataset(context), str(message.content.config_records["config"]["preset"]))
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
    """Train on this client's own products; send the delta, the number of products and the loss."""
    # Each message may start a process: the preflight shall not wait for PyTorch.
    from clients.learning import Task, learn
    from federation.heads import initial_tensors
    from federation.presets import load_preset
    from federation.torch_fixes import compute_alone

    compute_alone()
    values = message.content.config_records["config"]
    config = FederationConfig.from_run_config(values)
    task = Task(config, _whole(values["round"]), str(values["catalogue-version"]), str(values["base-hash"]))
    like = initial_tensors(load_preset(config.preset), seed=0)
    start = from_record(message.content.array_records["arrays"], like=like)
    update = learn(_dataset(context), start, task, features_dir=load_settings().features_dir)
    metrics = MetricRecord({"num-examples": update.examples, "loss": update.loss})
    return RecordDict({"arrays": to_record(update.delta), "metrics": metrics})


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise ClientMisconfigured(f"The coordinator sent {value!r} where a number was due.")
    return value


def _dataset(context: Context) -> Dataset:
    partition = context.node_config.get("partition-id")
    return open_dataset(load_settings(), partition=int(partition) if partition is not None else None)
