"""What can go wrong at a client.

ClientError
├── ClientMisconfigured   the process does not know whose partition it serves
├── PartitionStale        the bucket holds another catalogue version than the run is about
├── BaseMismatch          the coordinator trains another base than this client has
├── NotPublishing         the client has not decided to publish anything, or not yet
├── PublicationWithdrawn  the client has withdrawn what it published
├── ReceiptUnwritable     what would leave cannot be noted, so it does not leave
├── PromiseUnwritable     what was done in a confidential round cannot be noted, so it is not done
├── ContractUnwritable    a run's contract cannot be kept, so the client takes no part
├── ReceiptsDamaged       the notes of what has left were changed
└── PublicationUnreadable what the client has decided to publish cannot be read, so nothing is

SimulatedCrash            none of these: nobody answers in words when it crashes
"""

from __future__ import annotations

from core.errors import TejidoError


class ClientError(TejidoError):
    """Root of everything that clients/ raises on purpose."""

    code = "clients.error"


class ClientMisconfigured(ClientError):
    """The process does not know whose partition it serves, or where that is."""

    code = "clients.misconfigured"


class PartitionStale(ClientError):
    """The client's bucket holds another catalogue version than the one that the run is about."""

    code = "clients.partition_stale"


class BaseMismatch(ClientError):
    """The coordinator asks for another base model than the client has; features would not fit."""

    code = "clients.base_mismatch"


class NotPublishing(ClientError):
    """The client has not decided to publish anything, or not yet."""

    code = "clients.not_publishing"


class PublicationWithdrawn(ClientError):
    """The client has withdrawn what it published."""

    code = "clients.publication_withdrawn"


class PublicationUnreadable(ClientError):
    """What the client has decided to publish cannot be read, so nothing is published."""

    code = "clients.publication_unreadable"


class ReceiptUnwritable(ClientError):
    """What would leave the client's machine cannot be noted, so it does not leave."""

    code = "clients.receipt_unwritable"


class PromiseUnwritable(ClientError):
    """What a client does in a confidential round and must not do again cannot be noted, so it does not do it."""

    code = "clients.promise_unwritable"


class ContractUnwritable(ClientError):
    """The contract of a run cannot be kept, so the client takes no part in it."""

    code = "clients.contract_unwritable"


class ReceiptsDamaged(ClientError):
    """The client's notes of what has left its machine are not what was written."""

    code = "clients.receipts_damaged"


class SimulatedCrash(RuntimeError):
    """A simulated client drops out: as with a real crash, the coordinator gets Flower's error, not a refusal."""
