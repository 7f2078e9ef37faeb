"""A wave from the coordinator's side: every client that is online is asked for what it publishes, page by page.

Whose products they are is decided by the name under which the node's key is registered, never by what it sends.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import structlog

from core.errors import TejidoError
from federation.wire import to_record
from server.checkpoints import RunFolder
from server.exchange import PUBLISHING, Client, Mailbox, publishing_question, read_reply, texts
from server.offers import read_page
from server.wave_folder import Order, WaveFolder

if TYPE_CHECKING:
    from catalog.objects import ObjectStore
    from server.contracts import RunContract
    from server.exchange import Message

LOOK_EVERY_S = 0.5
State = Literal["asked", "complete", "withdrawn", "silent", "refused", "failed"]
"""asked: the wave ended before it was done; silent: it publishes nothing; refused: what it sent was not valid."""
NOTHING: Mapping[str, State] = {"clients.not_publishing": "silent", "clients.publication_withdrawn": "withdrawn"}
MAX_PAGES = 10_000
log = structlog.get_logger(__name__)


@dataclass
class Asked:
    """How far one client is."""

    state: State = "asked"
    pages: int = 0
    """Received, from the first one on."""
    products: int = 0
    published: int = 0
    """How many products it says to publish."""
    reason: str = ""
    failures: int = 0
    """In a row."""
    restarts: int = 0
    """How often what it publishes changed while it was asked."""
    revision: str = ""


@dataclass
class Wave:
    """One wave. ``clients`` says what came of it."""

    mailbox: Mailbox
    folder: WaveFolder
    order: Order
    status: RunFolder
    contract: RunContract | None = None
    """What clients must have signed; None in a simulation."""
    clients: dict[str, Asked] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        """Ask until everybody who is online is done, or the deadline is over; never raises for a client."""
        arrays = to_record(self.folder.state())
        began = time.monotonic()
        deadline, patience = began + self.order.deadline_s, began + self.order.wait_s
        while time.monotonic() < deadline:
            pending = self._pending()
            if pending:
                self._ask(pending, arrays, deadline)
                # Who went away in between may come back as late as one that was not there at the beginning.
                patience = time.monotonic() + self.order.wait_s
            elif not self._missing() or time.monotonic() >= patience:
                break
            else:
                time.sleep(LOOK_EVERY_S)
        for name in self._missing():
            self.clients.setdefault(name, Asked(reason="it was not online"))
        return {"clients": {name: asdict(asked) for name, asked in sorted(self.clients.items())}}

    def _pending(self) -> list[Client]:
        """Who is online and not done, of those that are at the earliest page."""
        # Where a client's key was replaced, both are registered: the one that joined last serves it.
        nodes = {node.name: node for node in sorted(self.mailbox.nodes(), key=lambda n: n.activated) if node.name}
        for name in nodes:
            self.clients.setdefault(name, Asked())
        online = [name for name in sorted(nodes) if self.clients[name].state == "asked"]
        page = min((self.clients[name].pages for name in online), default=0)
        return [Client(name, nodes[name]) for name in online if self.clients[name].pages == page]

    def _missing(self) -> list[str]:
        """Clients with products in the index that have not been heard to the end."""
        return [name for name in self.order.expected if self.clients.get(name, Asked()).state == "asked"]

    def _ask(self, clients: Sequence[Client], arrays: Any, deadline: float) -> None:
        page = self.clients[clients[0].name].pages
        content = publishing_question(self.order, page, arrays)
        within = min(self.order.page_s, max(1.0, deadline - time.monotonic()))
        replies = self.mailbox.ask(clients, content, kind=PUBLISHING, group="publish", deadline_s=within)
        for client, message, reason in replies:
            self._hear(client, message, reason, page)
        products = sum(asked.products for asked in self.clients.values())
        total = sum(asked.published for asked in self.clients.values())
        self.status.say("publishing", done=products, total=total, message=f"page {page + 1}, {len(clients)} clients")

    def _hear(self, client: Client, message: Message | None, reason: str, page: int) -> None:
        asked = self.clients[client.name]
        reply = read_reply(client, message, reason)
        failure = reply.failure
        if self.contract and not failure:
            failure = self.contract.hear(client.name, reply.records.get("contract", {}))
        if failure:
            code = texts(message, "refusal").get("code", "") if message and not message.has_error() else ""
            self._fail(asked, failure, code)
            return
        if message is None:
            raise AssertionError("a reply without a failure is there")
        try:
            received = read_page(message, self.order, page=page)
        except TejidoError as error:
            asked.state, asked.reason = "refused", error.message
            log.warning("what a client publishes is not valid", client=client.name, reason=error.message)
            return
        if page and received.revision != asked.revision:
            # It has decided anew, or was given other products, in between: what came before may be no part of it.
            asked.pages, asked.products, asked.restarts = 0, 0, asked.restarts + 1
            if asked.restarts >= self.order.attempts:
                asked.state, asked.reason = "failed", "what it publishes changes all the time"
            return
        self.folder.put_page(client.name, page, received.sent)
        asked.pages, asked.failures = page + 1, 0
        asked.products += len(received.sent.offers)
        asked.published, asked.revision = received.published, received.revision
        if received.is_last:
            asked.state = "complete"
        elif asked.pages >= MAX_PAGES:
            asked.state, asked.reason = "refused", f"it has no end after {MAX_PAGES} pages"

    def _fail(self, asked: Asked, failure: str, code: str) -> None:
        """Note why there is no page; after some tries in a row the client is given up."""
        asked.reason = failure
        if code in NOTHING:
            asked.state = NOTHING[code]
            return
        asked.failures += 1
        if asked.failures >= self.order.attempts:
            asked.state = "failed"


def publish(
    mailbox: Mailbox, store: ObjectStore, status: RunFolder, *, contract: RunContract | None = None
) -> dict[str, Any]:
    """Run the wave whose order lies in the folder; its result is also written there."""
    status.take_over()
    folder = WaveFolder(store, status.name, status.seals)
    status.say("publishing", message="asking who publishes")
    result = Wave(mailbox, folder, folder.order(), status, contract).run()
    status.finish(result)
    status.say("completed")
    return result
