"""A client's side of a confidential round: four messages, each perhaps in a process of its own.

Between them its keys and the others' shares are in Flower's context: in the memory of this client's own SuperNode, and
never on a disk. They are gone once it has revealed what it may, or with the first message of its next round.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flwr.app import ConfigRecord, Context, Message, RecordDict

from clients.promises import Promises
from federation.errors import MaskingRefused
from federation.masking.grid import SumGrid
from federation.masking.messages import (
    read_left,
    read_participants,
    read_sealed,
    told_public,
    told_revealed,
    told_sealed,
)
from federation.masking.participant import Participant
from federation.masking.session import Session
from federation.wire import ArrayRecord, lanes_record
from security.vouchers import statement, vouch

if TYPE_CHECKING:
    from federation.config import FederationConfig
    from federation.tensors import Tensors
    from security.receipt_keys import ReceiptKey

KEPT = "masking"
"""The record of Flower's context."""


def advertise(message: Message, context: Context, name: str, key: ReceiptKey | None) -> RecordDict:
    """Make fresh keys for the attempt that the message is about, and vouch for them; those of any other are forgotten.

    Args:
        message: that asks for them.
        context: Flower's.
        name: of this client.
        key: by which it vouches; None: it has none, as in a simulation.
    """
    participant, public = Participant.begin(name, session_of(message))
    _keep(context, participant)
    if key:
        parts = {"channel": public.channel, "mask": public.mask, "commitment": public.commitment}
        said = statement(_values(message, "config"), name, parts)
        public = replace(public, voucher=vouch(key, said))
    return RecordDict({"keys": ConfigRecord(told_public(public))})


def share(message: Message, context: Context, promises: Promises) -> RecordDict:
    """Seal shares of this client's secrets for each of the others, or refuse."""
    participant = kept(message, context)
    keys, threshold = read_participants(_values(message, "participants"))
    participant, sealed = participant.share(keys, threshold)
    promises.once("share", keys[participant.name])
    _keep(context, participant)
    return RecordDict({"shares": ConfigRecord(told_sealed(sealed))})


def accepted(message: Message, context: Context) -> Participant:
    """This client with the others' shares, before it trains: what is to be refused shall not cost an hour."""
    return kept(message, context).accept(read_sealed(_values(message, "shares")))


def masked(
    participant: Participant, delta: Tensors, config: FederationConfig, context: Context, promises: Promises
) -> ArrayRecord:
    """This client's update, clipped, on the sum's grid, with its share of the noise, masked.

    Raises:
        ShapeError: a value is not finite.
        MaskingRefused: it has been sent already.
    """
    grid = SumGrid.of(config, participants=len(participant.keys), threshold=participant.threshold)
    lanes = grid.encode(delta)
    promises.once("mask", participant.keys[participant.name])
    _keep(context, participant.mask(lanes))
    return lanes_record(lanes)


def reveal(message: Message, context: Context, promises: Promises) -> RecordDict:
    """Give the shares that unmask the sum, of each participant one kind; whatever comes of it, nothing is kept."""
    participant = kept(message, context)
    del context.state[KEPT]
    survivors, dropped = read_left(_values(message, "left"))
    revealed = participant.reveal(survivors, dropped)
    promises.once("reveal", participant.keys[participant.name])
    promises.one_sum(participant.session, survivors)
    return RecordDict({"revealed": ConfigRecord(told_revealed(revealed))})


def session_of(message: Message) -> Session:
    """The attempt that a message is about."""
    values = _values(message, "config")
    run, number, attempt = (values.get(name) for name in ("run", "round", "attempt"))
    if type(run) is not str or type(number) is not int or type(attempt) is not int:
        raise MaskingRefused("A message of a masked round does not say which round it is about.")
    return Session(run, number, attempt)


def kept(message: Message, context: Context) -> Participant:
    """What this client remembers of the attempt that a message is about.

    Raises:
        MaskingRefused: nothing, or of another attempt.
    """
    record = context.state.config_records.get(KEPT)
    session = session_of(message)
    if record is None or not isinstance(data := record.get("participant"), bytes):
        raise MaskingRefused(
            "This client has no keys for the round: it has ended for it, or its process was restarted."
        )
    participant = Participant.from_bytes(data)
    if participant.session != session:
        raise MaskingRefused(f"This client is in {participant.session}, the message is about {session}.")
    return participant


def _keep(context: Context, participant: Participant) -> None:
    context.state[KEPT] = ConfigRecord({"participant": participant.to_bytes()})


def _values(message: Message, record: str) -> dict[str, Any]:
    return dict(message.content.config_records.get(record) or {})
