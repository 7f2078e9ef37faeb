"""A Grid whose nodes answer in this process, each by a function of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from flwr.app import Message, RecordDict
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid

Answer = Callable[[Message], Message | None]
"""None: the node stays silent."""


class FakeGrid(Grid):
    """Flower's transport without Flower: what is pushed is answered at once, what is silent never.

    Args:
        nodes: node id → how it answers; may change while a test runs.
        names: node id → the name under which its key is registered.
    """

    def __init__(self, nodes: dict[int, Answer], names: dict[int, str] | None = None) -> None:
        self.nodes = nodes
        self.names = names or {}
        self.activated: dict[int, str] = {}
        self.withheld: dict[str, int] = {}
        """Message id → how many more times its reply is not there yet."""
        self.hold = 0
        """How many times the reply to each message that is pushed from now on is not there yet."""
        self.pushed: list[Message] = []
        self.pulled: list[tuple[str, ...]] = []
        self.looked = 0
        self.on_look: Callable[[int], None] = lambda times: None
        """Called before each look at the nodes, with the number of looks so far."""
        self._replies: dict[str, Message] = {}
        self._ids = itertools.count()

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return list(self.nodes)

    def get_nodes(self) -> Iterable[NodeInfo]:
        self.on_look(self.looked)
        self.looked += 1
        return [
            NodeInfo(node_id=node, name=self.names.get(node, ""), last_activated_at=self.activated.get(node, ""))
            for node in self.nodes
        ]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        ids = []
        for message in messages:
            identity = f"message-{next(self._ids)}"
            message.metadata.__dict__["_message_id"] = identity
            self.pushed.append(message)
            ids.append(identity)
            reply = self.nodes[message.metadata.dst_node_id](message)
            if reply is not None:
                self._replies[identity] = reply
                self.withheld[identity] = self.hold
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        asked = tuple(message_ids)
        self.pulled.append(asked)
        found = []
        for identity in asked:
            if identity in self._replies:
                self.withheld[identity] -= 1
                if self.withheld[identity] < 0:
                    found.append(self._replies.pop(identity))
        return found

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        raise NotImplementedError

    @property
    def sent_kinds(self) -> list[str]:
        """Of all messages, in order."""
        return [message.metadata.message_type for message in self.pushed]

    def sent(self, kind: str) -> list[int]:
        """The nodes that were sent messages of a kind, in order."""
        return [m.metadata.dst_node_id for m in self.pushed if m.metadata.message_type == kind]
