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
    """Flower's transport without Flower: what is pushed is answered at once, what is silent never."""

    def __init__(self, nodes: dict[int, Answer], names: dict[int, str] | None = None) -> None:
        self.nodes = nodes
        self.names = names or {}
        self.pushed: list[Message] = []
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
        return [NodeInfo(node_id=node, name=self.names.get(node, "")) for node in self.nodes]

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
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [self._replies.pop(identity) for identity in message_ids if identity in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        raise NotImplementedError
