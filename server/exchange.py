"""Messages between the coordinator and its clients over Flower's Grid: sent at once, pulled one by one.

`Grid.pull_messages` gives all replies that are there, so asking for many ids at a time could bring many updates into
memory. Replies wait in the SuperLink until their client's turn comes: the order of names decides, not that of arrival,
and a sum of floats is then the same bit for bit however fast each client was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, RecordDict
from flwr.serverapp import Grid

from federation.config import FederationConfig
from server.wave_folder import Order

__all__ = [
    "Client", "Content", "Grid", "Mailbox", "Message", "Node", "RecordDict", "Reply", "RoundTask",
    "preflight_question", "publishing_question", "read_reply", "texts",
]  # fmt: skip
POLL_S = 0.25
LOOK_S = 2.0
"""How often the list of nodes is asked for while a reply is awaited: it tells which of them were started anew."""
SPARE_S = 60.0
REMOVED = "it was removed"
MAX_REASON = 300
QUESTION, TRAINING, PUBLISHING = MessageType.QUERY, MessageType.TRAIN, f"{MessageType.QUERY}.publish"
ADVERTISING, SHARING = f"{MessageType.QUERY}.masking_keys", f"{MessageType.QUERY}.masking_shares"
MASKING, REVEALING = f"{MessageType.TRAIN}.masked", f"{MessageType.QUERY}.masking_reveal"


@dataclass(frozen=True)
class Node:
    """A node that is online; Flower lists no others."""

    node_id: int
    name: str
    """Under which its key is registered; "" in simulation, where nodes have no keys."""
    activated: str
    """When it last joined: changes when its process was started anew."""


@dataclass(frozen=True)
class Client:
    """A client, and the node that it has now."""

    name: str
    node: Node


@dataclass(frozen=True)
class Reply:
    """What a client sent back. It is a stranger's: nothing in it is believed yet."""

    client: str
    arrays: ArrayRecord | None = None
    metrics: Mapping[str, object] = field(default_factory=dict)
    receipt: Mapping[str, object] = field(default_factory=dict)
    records: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """All that it sent beside these, by name."""
    failure: str = ""
    """Why there is no update; "" where there seems to be one."""
    is_silent: bool = False
    """Whether nothing came back at all."""


@dataclass(frozen=True)
class RoundTask:
    """What one attempt at a round is about; a client's receipt must say the same."""

    run: str
    round: int
    attempt: int
    catalogue_version: str
    base_hash: str
    config: FederationConfig

    def content(self, arrays: ArrayRecord) -> RecordDict:
        """The message: the state, and what to do with it."""
        return RecordDict({"arrays": arrays, "config": self._about()})

    def question(self, *, arrays: ArrayRecord | None = None, **records: Mapping[str, Any]) -> RecordDict:
        """A message of a masked round: what it is about, these records, and the state where there is one."""
        told = RecordDict({"config": self._about()})
        for name, values in records.items():
            told[name] = ConfigRecord(dict(values))
        if arrays is not None:
            told["arrays"] = arrays
        return told

    def _about(self) -> ConfigRecord:
        values: dict[str, Any] = self.config.to_run_config() | {
            "run": self.run,
            "round": self.round,
            "attempt": self.attempt,
            "catalogue-version": self.catalogue_version,
            "base-hash": self.base_hash,
        }
        return ConfigRecord(values)


Content = RecordDict | Callable[[Client], RecordDict]


@dataclass
class Mailbox:
    """One run's messages; remembers those that were not answered in time."""

    grid: Grid
    removed: Callable[[], Set[str]] = frozenset
    """Who was removed, asked anew each time: they are sent nothing, not waited for, and what they send is dropped."""
    _overdue: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Message id → its client, and when Flower forgets it, on the monotonic clock."""

    def nodes(self) -> list[Node]:
        """The nodes that are online now, each time anew: they come and go."""
        return [
            Node(node.node_id, str(node.name or ""), str(node.last_activated_at or ""))
            for node in self.grid.get_nodes()
        ]

    def ask(
        self, clients: Sequence[Client], content: Content, *, kind: str, group: str, deadline_s: float
    ) -> Iterator[tuple[Client, Message | None, str]]:
        """Send ``content`` to all, and yield each client with its reply, or with None and the reason, in this order.

        What is sent is the same for all, or made for each. Who was removed meanwhile has no reply, whatever has come.

        The deadline is that of all together. Once it is over, what has come meanwhile is still yielded.
        """
        deadline = time.monotonic() + deadline_s
        # A late reply shall still be seen and counted, as long as another deadline.
        ttl = 2 * deadline_s + SPARE_S
        removed = self.removed()
        asked = [client for client in clients if client.name not in removed]
        contents = [content(client) if callable(content) else content for client in asked]
        messages = [
            Message(made, dst_node_id=client.node.node_id, message_type=kind, group_id=group, ttl=ttl)
            for client, made in zip(asked, contents, strict=True)
        ]
        ids = list(self.grid.push_messages(messages)) if messages else []
        del content, contents, messages
        forgotten = time.monotonic() + ttl
        self._overdue |= {i: (client.name, forgotten) for client, i in zip(asked, ids, strict=True) if i}
        look, sent = _Look(self), dict(zip(asked, ids, strict=True))
        for client in clients:
            if client not in sent:
                yield client, None, REMOVED
                continue
            if not (message_id := sent[client]):
                yield client, None, "the SuperLink refused to pass the message on"
                continue
            reply, reason = self._await(client, message_id, deadline, look)
            if reply is not None:
                del self._overdue[message_id]
                if client.name in self.removed():
                    reply, reason = None, REMOVED
            yield client, reply, reason or f"no reply within {deadline_s:.0f} s"

    def late(self) -> list[str]:
        """Whose replies came after their deadline since the last call; they are dropped, one by one."""
        late = []
        for message_id, (client, forgotten) in list(self._overdue.items()):
            reply = self._pull(message_id)
            if reply is not None and not reply.has_error():
                late.append(client)
            if reply is not None or time.monotonic() >= forgotten:
                del self._overdue[message_id]
        return late

    def _await(self, client: Client, message_id: str, deadline: float, look: _Look) -> tuple[Message | None, str]:
        while True:
            # In this order: what was there before it ended, or before the deadline, shall be found.
            is_over, why_lost = time.monotonic() >= deadline, look.why_lost(client)
            reply = self._pull(message_id)
            if reply is not None or is_over:
                return reply, ""
            if why_lost:
                return None, why_lost
            time.sleep(POLL_S)

    def _pull(self, message_id: str) -> Message | None:
        return next(iter(self.grid.pull_messages([message_id])), None)


class _Look:
    """The list of nodes, and of those that were removed, asked for now and then.

    Flower answers for a node that is gone, but not for one that is back: the message that its process had taken is
    lost, and would be waited for until the deadline.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._looked = time.monotonic()
        self._activated: dict[int, str] = {}
        self._removed: Set[str] = frozenset()

    def why_lost(self, client: Client) -> str:
        """Why no reply of a client need be waited for; "" where one may come."""
        if time.monotonic() - self._looked >= LOOK_S:
            self._activated = {found.node_id: found.activated for found in self._mailbox.nodes()}
            self._removed = self._mailbox.removed()
            self._looked = time.monotonic()
        if client.name in self._removed:
            return REMOVED
        node = client.node
        was_restarted = self._activated.get(node.node_id, node.activated) != node.activated
        return "its SuperNode was started anew and has lost the message" if was_restarted else ""


def preflight_question(config: FederationConfig) -> RecordDict:
    """What a client is asked before it takes part."""
    return RecordDict({"config": ConfigRecord(dict(config.to_run_config()))})


def publishing_question(order: Order, page: int, arrays: ArrayRecord) -> RecordDict:
    """What a client is asked that may publish products of its own."""
    values: dict[str, Any] = {
        "spec": order.spec,
        "model-hash": order.model_hash,
        "base-hash": order.base_hash,
        "page": page,
        "page-size": order.page_size,
    }
    return RecordDict({"arrays": arrays, "config": ConfigRecord(values)})


def read_reply(client: Client, message: Message | None, reason: str) -> Reply:
    """A client's reply to `Mailbox.ask` as plain values, or why there is none."""
    if message is None:
        return Reply(client.name, failure=reason, is_silent=True)
    if message.has_error():
        # Where it is a traceback, what went wrong stands in its last line.
        lines = [line for line in (message.error.reason or "").splitlines() if line.strip()]
        return Reply(client.name, failure=f"failed: {shortened(lines[-1]) if lines else 'no reason given'}")
    content = message.content
    if "refusal" in content.config_records:
        refusal = texts(message, "refusal")
        return Reply(client.name, failure=f"{refusal.get('message')} [{refusal.get('code')}]")
    return Reply(
        client.name,
        content.array_records.get("arrays"),
        dict(content.metric_records.get("metrics") or {}),
        dict(content.config_records.get("receipt") or {}),
        {name: dict(record) for name, record in content.config_records.items()},
    )


def texts(message: Message, record: str) -> dict[str, str]:
    """A record of a stranger as short texts, whatever types it holds."""
    found = message.content.config_records.get(record) or ConfigRecord()
    return {
        key: shortened(value.decode(errors="replace") if isinstance(value, bytes) else str(value))
        for key, value in found.items()
    }


def shortened(text: str) -> str:
    """A stranger's text on one line, at most 300 characters long."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_REASON else f"{line[: MAX_REASON - 1]}…"
