"""Stands between a message and the programs that the coordinator sent for it: the client's policy, checked by what is
installed here.

The bundle decides what a ClientApp does, so nothing in it may decide whether it may. Before it is unpacked, its hash
and the contract of the run are held against the policy, and what the message asks for against the contract; before the
reply leaves, they are again, with the policy as it is by then, and the reply's size. What is refused goes back as a
refusal, which names the rule; what is not goes with the client's own signature of the contract.

It runs in the process of each message and takes its place around Flower's own steps. Whoever loads the bundle after
that finds none of our modules loaded, as without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.supernode.runtime import run_clientapp as flower

from clients.contracts import Contracts
from clients.peers import SHARING, check_peers
from core.errors import TejidoError
from core.settings import load_settings
from federation.forking import forget_our_modules
from security.contracts import SignedContract
from security.policy import Asked, check, check_size, read_policy

SIGNED = "contract"
"""The record of a reply that holds the client's signature."""
PUBLISHING = "query.publish"
"""How much a publication may tell is said in the client's bucket, not in its policy."""
log = structlog.get_logger(__name__)


@dataclass
class Guard:
    """Of one message."""

    policy_file: Path
    contracts: Contracts
    message: Message | None = None
    run_config: Mapping[str, Any] = field(default_factory=dict)
    bundle: str = ""
    refusal: dict[str, str] = field(default_factory=dict)
    """Why the bundle was not loaded; empty where it was."""
    _signed: dict[str, str] = field(default_factory=dict)
    """The contract's hash, and this client's signature of it."""

    def admit(self, content: bytes) -> bool:
        """Whether the bundle may be loaded for this message; otherwise `refusal` says why not."""
        self.bundle = hashlib.sha256(content).hexdigest()
        try:
            self._signed = self.contracts.sign(self._check())
        except TejidoError as error:
            self.refusal = _told(error)
        return not self.refusal

    def reply(self, app: Any, message: Message, context: Context) -> Message:
        """What goes back: the ClientApp's reply, or a refusal in its place."""
        if self.refusal:
            return _refuse(message, self.refusal)
        reply: Message = app(message=message, context=context)
        try:
            contract = self._check()
            if reply.has_content():
                if message.metadata.message_type != PUBLISHING:
                    check_size(read_policy(self.policy_file), contract, content_bytes(reply.content))
                reply.content[SIGNED] = ConfigRecord(dict(self._signed))
        except TejidoError as error:
            return _refuse(message, _told(error))
        return reply

    def _check(self) -> SignedContract:
        """The run's contract, if it and the message are allowed."""
        if self.message is None:
            raise AssertionError("no message was pulled")
        contract = SignedContract.of(self.run_config)
        kind = self.message.metadata.message_type
        asked = Asked(
            bundle=self.bundle,
            contract=contract,
            values=dict(self.message.content.config_records.get("config") or {}),
            is_training=not kind.startswith("query"),
            is_publishing=kind == PUBLISHING,
        )
        policy = read_policy(self.policy_file)
        check(policy, asked)
        if kind == SHARING:
            named = dict(self.message.content.config_records.get("participants") or {})
            check_peers(policy, asked.values, named, own=self.contracts.key)
        return contract


def content_bytes(content: RecordDict) -> int:
    """How much would leave: every array, number and text of a reply."""
    arrays: int = sum(len(array.data) for record in content.array_records.values() for array in record.values())
    texts = [value for record in content.config_records.values() for value in record.values()]
    numbers = [value for record in content.metric_records.values() for value in record.values()]
    return arrays + sum(map(_value_bytes, [*texts, *numbers]))


def run_guarded(**arguments: Any) -> None:
    """Flower's own way to run a ClientApp for one message, with the client's policy around it where it has one."""
    settings = load_settings()
    if settings.policy_file is not None:
        stand_between(Guard(settings.policy_file, Contracts.of(settings)))
    forget_our_modules()
    flower.run_clientapp(**arguments)


def stand_between(guard: Guard) -> None:
    """Put a guard around the steps of Flower's `run_clientapp` in this process."""
    steps = vars(flower)
    pull, install, loader = (steps[name] for name in ("pull_task_input", "install_from_fab", "get_load_client_app_fn"))

    def pull_task_input(client: Any) -> Any:
        message, context, run, bundle = pull(client)
        guard.message = message
        guard.run_config = dict(context.run_config)
        return message, context, run, bundle

    def install_from_fab(content: bytes, **options: Any) -> Any:
        return install(content, **options) if guard.admit(content) else None

    def get_load_client_app_fn(**options: Any) -> Any:
        load = loader(**options)

        def load_guarded(*which: str) -> Any:
            app = None if guard.refusal else load(*which)
            return lambda message, context: guard.reply(app, message, context)

        return load_guarded

    steps["pull_task_input"] = pull_task_input
    steps["install_from_fab"] = install_from_fab
    steps["get_load_client_app_fn"] = get_load_client_app_fn


def _value_bytes(value: object) -> int:
    if isinstance(value, str | bytes):
        return len(value.encode() if isinstance(value, str) else value)
    return sum(map(_value_bytes, value)) if isinstance(value, list) else 8


def _told(error: TejidoError) -> dict[str, str]:
    log.warning("the coordinator gets a refusal", code=error.code, reason=str(error))
    return error.as_dict()


def _refuse(message: Message, refusal: dict[str, str]) -> Message:
    return Message(RecordDict({"refusal": ConfigRecord(dict(refusal))}), reply_to=message)
