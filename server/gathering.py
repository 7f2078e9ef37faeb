"""Who takes part in a run: wait for the clients that it names, ask each once, choose from them round by round.

A client that is removed meanwhile takes no part from then on, also where it is added again: its keys are others then.

In deployment a node is known by the name under which its key is registered, and a node whose name the run does not
list is never sent a message. In simulation nodes have no names: all are asked who they are, those on the list train.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from federation.config import FederationConfig
from server.errors import ClientsMissing
from server.exchange import QUESTION, REMOVED, Client, Mailbox, Node, preflight_question, read_reply, texts
from server.selection import Expected, sample, wanted_clients

if TYPE_CHECKING:
    from server.contracts import RunContract
    from server.exchange import Message

LOOK_EVERY_S = 0.5
PREFLIGHT_S = 60.0
Say = Callable[..., None]
"""``say(stage, message=…, waiting_for=[names])``."""
log = structlog.get_logger(__name__)


@dataclass
class Roster:
    """The clients of one run: who is online, who was admitted, who declined."""

    mailbox: Mailbox
    config: FederationConfig
    expected: Expected
    say: Say
    are_named: bool = True
    """Whether nodes have registered names; not so in simulation."""
    contract: RunContract | None = None
    """What each must have signed; None in simulation."""
    admitted: set[str] = field(default_factory=set)
    declined: set[str] = field(default_factory=set)
    """Clients, or nodes without a name, that are never sent another message."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Who was asked and does not take part → why."""
    _names: dict[int, str] = field(default_factory=dict)
    """Node → name; in simulation as it called itself."""
    _seen: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wanted = wanted_clients(self.config, self.expected.products)
        self.minimum = self.config.clients_needed
        # A catalogue of fewer clients than a run wants by default can still be trained on.
        if self.minimum == FederationConfig.min_clients:
            self.minimum = min(self.minimum, len(self.wanted))

    def gather(self) -> None:
        """Wait until all wanted clients are online, at most ``wait_s``; then ask each whether it can take part.

        Raises:
            ClientsMissing: fewer than the run's minimum are online, or can take part; names them and the reasons.
        """
        everyone = len(self.wanted) if self.are_named else len(self.expected.products)
        found = self._wait(everyone)
        if found < self.minimum:
            missing = self._missing(self._present(), self.wanted)
            raise ClientsMissing(
                f"{found} of {len(self.wanted)} clients came online within {self.config.wait_s:.0f} s, at least "
                f"{self.minimum} are needed. {'Missing: ' + ', '.join(missing) + '.' if missing else ''}".rstrip(),
                hint="Look at the logs of the SuperNodes; `tejido federation preflight` says how many are online.",
            )
        self._introduce()
        if len(self.admitted) < self.minimum <= everyone - len(self.declined):
            # Who did not answer may have died and be on its way back.
            self._wait(everyone)
            self._introduce()
        if len(self.admitted) < self.minimum:
            raise ClientsMissing(
                f"{len(self.admitted)} of {len(self.wanted)} clients can take part, {self.minimum} are needed. "
                f"{self._reasons()}".rstrip(),
                hint="Mend those clients, or lower min-clients.",
            )

    def invite(self, round_number: int) -> tuple[list[str], list[Client]]:
        """The clients chosen for a round, and those of them that can be asked now.

        Clients that came, or came back, since the last round may take part. While fewer of the chosen are online than
        the quorum needs, this waits for them, at most ``wait_s``; when one of them is removed, the round is drawn anew.

        Raises:
            ClientsMissing: so many were removed that fewer than the run's minimum are left.
        """
        self._introduce()
        while True:
            chosen = self._draw(round_number)
            self._wait(self.config.replies_needed(len(chosen)), chosen)
            self._introduce()
            if self.admitted.issuperset(chosen):
                break
        present = self._present()
        return chosen, [Client(name, present[name]) for name in chosen if name in present]

    def _draw(self, round_number: int) -> list[str]:
        """The clients of a round, of those that are left."""
        if len(self.admitted) < self.minimum:
            raise ClientsMissing(
                f"{len(self.admitted)} clients are left in round {round_number}, {self.minimum} are needed. "
                f"{self._reasons()}".rstrip(),
                hint="Add clients, or lower min-clients; the last complete round is kept.",
            )
        return sample(sorted(self.admitted), self.config, round_number)

    def _let_go(self) -> None:
        """Go on without those that were removed since the last look."""
        for name in sorted(self.mailbox.removed() & set(self.wanted)):
            log.warning("a client was removed; the run goes on without it", client=name)
            self.wanted = tuple(wanted for wanted in self.wanted if wanted != name)
            self.admitted.discard(name)
            self.declined.add(name)
            self.left_out[name] = f"{name}: {REMOVED}"

    def _reasons(self) -> str:
        return " ".join(f"{reason.rstrip('.')}." for reason in self.left_out.values())

    def _present(self) -> dict[str, Node]:
        """Wanted name → its node, of those online now; in simulation a node that was not yet asked stands by number."""
        nodes: dict[str, Node] = {}
        # Where a client's key was replaced, both are registered: the one that joined last serves it.
        for node in sorted(self.mailbox.nodes(), key=lambda node: node.activated):
            name = node.name if self.are_named else self._names.get(node.node_id, f"node {node.node_id}")
            if name in self.wanted or not self.are_named:
                nodes[name] = node
        self._seen |= dict.fromkeys(nodes, time.monotonic())
        return nodes

    def _wait(self, enough: int, names: Sequence[str] = ()) -> int:
        """Wait until ``enough`` of ``names`` (of all) are online, at most ``wait_s``; returns how many are.

        Nobody waits for who was removed; where one of ``names`` is, this returns at once.
        """
        deadline = time.monotonic() + self.config.wait_s
        while True:
            self._let_go()
            present = self._present()
            found = sum(name in names or not names for name in present)
            if self.are_named and not names:
                enough = min(enough, len(self.wanted))
            if found >= enough or not self.admitted.issuperset(names):
                return found
            missing = self._missing(present, names or self.wanted)
            whom = "; ".join(f"{name}, {self._last_seen(name)}" for name in missing) or "nodes of the simulation"
            of = len(names) or enough
            self.say("waiting", message=f"waiting for {enough - found} of {of}: {whom}", waiting_for=missing)
            if time.monotonic() >= deadline:
                return found
            time.sleep(LOOK_EVERY_S)

    def _missing(self, present: Mapping[str, Node], names: Sequence[str]) -> list[str]:
        """Who of ``names`` is not online; nobody while nodes of a simulation have not said who they are."""
        return [name for name in names if name not in present] if self.are_named or self._names else []

    def _last_seen(self, name: str) -> str:
        """Flower lists nodes that are online only, so what is told is what this run saw itself."""
        if name not in self._seen:
            return "not seen yet"
        return f"last seen {time.monotonic() - self._seen[name]:.0f} s ago"

    def _introduce(self) -> None:
        """Ask those who they are that are online and were not asked before; one that cannot take part is told apart."""
        self._let_go()
        strangers = [
            Client(name, node)
            for name, node in sorted(self._present().items())
            if name not in self.admitted and name not in self.declined
        ]
        if not strangers:
            return
        self.say("preflight", message=f"asking {', '.join(client.name for client in strangers)}")
        question = preflight_question(self.config)
        replies = self.mailbox.ask(strangers, question, kind=QUESTION, group="preflight", deadline_s=PREFLIGHT_S)
        for client, message, reason in replies:
            self._hear(client, message, reason)
        left_out = "; ".join(self.left_out.values())
        said = f"{len(self.admitted)} clients take part" + (f"; left out: {left_out}" if left_out else "")
        self.say("preflight", message=f"{said}.")

    def _hear(self, client: Client, message: Message | None, reason: str) -> None:
        """Admit a client by its answer, or leave it out."""
        reply = read_reply(client, message, reason)
        answer = {} if reply.failure or message is None else texts(message, "description")
        name = answer.get("client", "")
        objection = reply.failure or self._objection(client, answer)
        if self.contract and not objection:
            objection = self.contract.hear(name, reply.records.get("contract", {}))
        if not objection:
            self._names[client.node.node_id] = name
            self.admitted.add(name)
            self.left_out.pop(client.name, None)
            return
        self.left_out[client.name] = f"{client.name if self.are_named else name or client.name}: {objection}"
        log.warning("a client cannot take part", client=client.name, reason=objection)
        # One that did not answer may only have been slow: it is asked again before the next round.
        if message is not None and not message.has_error():
            self.declined.add(client.name)

    def _objection(self, client: Client, answer: Mapping[str, str]) -> str:
        """Why a client cannot take part, or ""."""
        name, expected = answer.get("client", ""), self.expected
        if self.are_named and name != client.name:
            return f"it calls itself {name or 'nothing'}"
        if name not in expected.products:
            return "the catalogue has no partition for it"
        if name not in self.wanted:
            return "the run does not name it"
        if name in self.admitted and name in self._present():
            return "it answered twice"
        if answer.get("base-hash") != expected.base_hash:
            return f"it has another base model ({answer.get('base-hash', '')[:12]}…)"
        if answer.get("catalogue-version") != expected.catalogue_version:
            return f"it holds catalogue {answer.get('catalogue-version')}"
        if answer.get("products") != str(expected.products[name]):
            return f"it holds {answer.get('products')} products, not {expected.products[name]}"
        if expected.products[name] > expected.limits.get(name, expected.products[name]):
            return f"it holds {answer.get('products')} products, it enrolled for {expected.limits[name]} at most"
        return ""
