"""The project's own loop over Flower's Grid: wait, ask who is there, then rounds with a quorum and a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog
from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.serverapp import Grid

from federation.config import FederationConfig
from federation.tensors import Tensors
from federation.wire import to_record
from server.aggregation import RoundSum
from server.errors import ClientsMissing, QuorumMissed

__all__ = ["Client", "Expected", "Grid", "preflight", "run_round", "wait_for_nodes"]
POLL_S = 0.5
PREFLIGHT_S = 60.0
Say = Callable[[str], None]
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Expected:
    """What the catalogue's manifest says about the clients, and the base that all must share."""

    catalogue_version: str
    base_hash: str
    products: dict[str, int]
    """Client → number of products in its partition."""


@dataclass(frozen=True)
class Client:
    """One client that passed the preflight."""

    node_id: int
    name: str
    products: int


def wait_for_nodes(grid: Grid, *, expected: int, minimum: int, wait_s: float, say: Say) -> dict[int, str]:
    """Wait until all expected nodes are online, or until ``wait_s`` is over and at least ``minimum`` are.

    Returns:
        Node id → the name under which its key is registered ("" where nodes have no keys, as in simulation).

    Raises:
        ClientsMissing: fewer than ``minimum``, after ``wait_s``.
    """
    deadline = time.monotonic() + wait_s
    while True:
        nodes = {node.node_id: str(getattr(node, "name", "") or "") for node in grid.get_nodes()}
        is_over = time.monotonic() >= deadline
        if len(nodes) >= expected or (is_over and len(nodes) >= minimum):
            return nodes
        say(f"{len(nodes)} of {expected} clients online; waiting up to {max(0, deadline - time.monotonic()):.0f} s.")
        if is_over:
            raise ClientsMissing(
                f"{len(nodes)} of {expected} clients came online within {wait_s:.0f} s, at least {minimum} are needed.",
                hint="Look at the logs of the SuperNodes; `tejido federation preflight` says how many are online.",
            )
        time.sleep(POLL_S)


def exchange(grid: Grid, messages: Sequence[Message], *, deadline_s: float) -> Iterator[tuple[int, Message]]:
    """Send, and yield (node that was asked, reply) one by one as they come, until all are here or time is up.

    Flower answers for a node that is gone with an error whose source is itself: the message that a reply belongs to
    says which node was asked.
    """
    deadline = time.monotonic() + deadline_s
    asked = dict(zip(grid.push_messages(messages), [m.metadata.dst_node_id for m in messages], strict=True))
    while asked:
        for reply in grid.pull_messages(list(asked)):
            node = asked.pop(reply.metadata.reply_to_message_id, None)
            if node is not None:
                yield node, reply
        if asked and time.monotonic() >= deadline:
            return
        if asked:
            time.sleep(POLL_S)


def preflight(
    grid: Grid, nodes: dict[int, str], config: FederationConfig, expected: Expected, *, say: Say
) -> list[Client]:
    """Ask every node who it is; those that cannot take part are left out, and told why.

    Raises:
        ClientsMissing: fewer than the run's minimum can take part; names the reasons.
    """
    ask = RecordDict({"config": ConfigRecord(dict(config.to_run_config()))})
    messages = [_message(ask, node, MessageType.QUERY, "preflight", PREFLIGHT_S) for node in nodes]
    clients: dict[str, Client] = {}
    refused: list[str] = []
    for node, reply in exchange(grid, messages, deadline_s=PREFLIGHT_S):
        client, reason = _admit(node, nodes[node], reply, expected)
        if client is None or client.name in clients:
            refused.append(reason or f"{client.name if client else '?'}: it answered twice")
        else:
            clients[client.name] = client
    for reason in refused:
        log.warning("a client cannot take part", reason=reason)
    if len(clients) < config.min_clients:
        raise ClientsMissing(
            f"{len(clients)} of {len(expected.products)} clients can take part, {config.min_clients} are needed. "
            f"{' '.join(refused) or 'The others did not answer.'}",
            hint="Mend those clients, or lower min-clients.",
        )
    say(f"{len(clients)} clients take part" + (f"; left out: {'; '.join(refused)}" if refused else "") + ".")
    return sorted(clients.values(), key=lambda client: client.name)


def run_round(
    grid: Grid,
    state: Tensors,
    clients: Sequence[Client],
    config: FederationConfig,
    expected: Expected,
    *,
    round_number: int,
) -> RoundSum:
    """Send the state, collect updates until all are here or the deadline passes.

    Raises:
        QuorumMissed: fewer valid updates than the quorum; names the reasons.
    """
    values = config.to_run_config() | {
        "round": round_number,
        "catalogue-version": expected.catalogue_version,
        "base-hash": expected.base_hash,
    }
    content = RecordDict({"arrays": to_record(state), "config": ConfigRecord(dict(values))})
    messages = [
        _message(content, client.node_id, MessageType.TRAIN, str(round_number), config.deadline_s) for client in clients
    ]
    waiting = {client.node_id: client for client in clients}
    total = RoundSum(state, config.strategy)
    for node, reply in exchange(grid, messages, deadline_s=config.deadline_s):
        _count(waiting.pop(node), reply, total)
    for client in waiting.values():
        log.warning("a client sent no reply", client=client.name, round=round_number)
    needed = config.replies_needed(len(clients))
    if total.replies < needed:
        silent = [f"{client.name}: no reply within {config.deadline_s:.0f} s" for client in waiting.values()]
        raise QuorumMissed(
            f"Round {round_number}: {total.replies} of {len(clients)} updates count, {needed} are needed. "
            f"{'; '.join([*total.rejections, *silent])}.",
            hint="Look at those clients' logs; the last complete round is kept.",
        )
    return total


def _message(content: RecordDict, node: int, kind: str, group: str, ttl: float) -> Message:
    # A reply that comes after the deadline is worth nothing: let Flower drop it.
    return Message(content, dst_node_id=node, message_type=kind, group_id=group, ttl=ttl + PREFLIGHT_S)


def _count(client: Client, reply: Message, total: RoundSum) -> None:
    if reply.has_error():
        total.reject(client.name, f"failed: {reply.error.reason}")
    elif "refusal" in reply.content.config_records:
        total.reject(client.name, _refusal(reply))
    else:
        arrays, metrics = reply.content.array_records.get("arrays"), reply.content.metric_records.get("metrics")
        if arrays is None or metrics is None:
            total.reject(client.name, "the reply holds no update")
            return
        total.take(
            client.name,
            arrays,
            examples=metrics.get("num-examples"),
            loss=metrics.get("loss"),
            enrolled=client.products,
        )


def _admit(node: int, registered: str, reply: Message, expected: Expected) -> tuple[Client | None, str]:
    """The client behind a preflight's reply, or why it cannot take part."""
    known_as = registered or f"node {node}"
    if reply.has_error():
        return None, f"{known_as}: failed: {reply.error.reason}"
    if "refusal" in reply.content.config_records:
        return None, f"{known_as}: {_refusal(reply)}"
    answer = _texts(reply, "description")
    name, products = answer.get("client", ""), answer.get("products")
    if registered and registered != name:
        return None, f"{known_as}: it calls itself {name}"
    if name not in expected.products:
        return None, f"{name}: the catalogue has no partition for it"
    if answer.get("base-hash") != expected.base_hash:
        return None, f"{name}: it has another base model ({answer.get('base-hash', '')[:12]}…)"
    if answer.get("catalogue-version") != expected.catalogue_version:
        return None, f"{name}: it holds catalogue {answer.get('catalogue-version')}"
    if products != str(expected.products[name]):
        return None, f"{name}: it holds {products} products, not {expected.products[name]}"
    return Client(node, name, expected.products[name]), ""


def _refusal(reply: Message) -> str:
    refusal = _texts(reply, "refusal")
    return f"{refusal.get('message')} [{refusal.get('code')}]"


def _texts(reply: Message, record: str) -> dict[str, str]:
    """A record of a stranger as short texts, whatever types it holds."""
    found = reply.content.config_records.get(record) or ConfigRecord()
    return {
        key: value.decode(errors="replace") if isinstance(value, bytes) else str(value) for key, value in found.items()
    }
