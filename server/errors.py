"""What can go wrong at the coordinator.

ServerError
├── ClientsMissing        too few clients online, fit to take part, or left
├── ClientUnknown         the run names a client that the catalogue does not have
├── QuorumMissed          too few valid updates in a round
├── RunFailed             the federated run ended without a result; carries the first error and the log's tail
├── RunRefused            the same, for a reason that is still there when it is tried again
├── RunDiffers            a run cannot be resumed, or started from: its config, catalogue or base model is another
├── RunTakenOver          another coordinator works on the run
├── RunUnknown            there is no federated run of this id
├── SuperLinkUnreachable  Flower's SuperLink, or its command line, did not answer
├── TrackingUnreachable   MLflow did not answer or refused
├── ModelMissing          no such model version or alias
├── ModelDamaged          a stored model is not what its hashes say
├── SameModel             a version was to be compared with itself
├── PrivacyBudgetExhausted the next round of a private run would cost more than its budget
├── NodeKeyRefused        a node's key that the SuperLink will never accept
├── EnrolmentUnreadable   what a client enrolled for cannot be read
├── RollbackRefused       a rollback to the champion itself, or to a version that never was champion
└── ChampionChanged       another version became champion while an index was built
"""

from __future__ import annotations

from core.errors import EX_TEMPFAIL, TejidoError


class ServerError(TejidoError):
    """Root of everything that server/ raises on purpose."""

    code = "server.error"


class ClientsMissing(ServerError):
    """Too few clients are online, too few of them are fit to take part, or too few are left."""

    code = "server.clients_missing"
    exit_status = EX_TEMPFAIL


class ClientUnknown(ServerError):
    """The run names a client that has no partition in the catalogue."""

    code = "server.client_unknown"


class QuorumMissed(ServerError):
    """Too few valid updates came back in a round before its deadline."""

    code = "server.quorum_missed"
    exit_status = EX_TEMPFAIL


class RunRefused(ServerError):
    """The federated run ended without a result, for a reason that is still there when it is tried again."""

    code = "server.run_refused"


class RunDiffers(ServerError):
    """A run cannot be resumed, or started from: its config, its catalogue or its base model is another."""

    code = "server.run_differs"


class RunTakenOver(ServerError):
    """Another coordinator has taken the run over; what this one does is void."""

    code = "server.run_taken_over"


class RunUnknown(ServerError):
    """There is no federated run of this id."""

    code = "server.run_unknown"


class PrivacyBudgetExhausted(ServerError):
    """The next round of a private run would cost more privacy than its budget has left; it never begins."""

    code = "server.privacy_budget_exhausted"


class RunFailed(ServerError):
    """The federated run ended without a result."""

    code = "server.run_failed"
    exit_status = EX_TEMPFAIL


class SuperLinkUnreachable(ServerError):
    """Flower's SuperLink did not answer."""

    code = "server.superlink_unreachable"
    exit_status = EX_TEMPFAIL


class NodeKeyRefused(ServerError):
    """The SuperLink will never accept a node's key: it was unregistered before, or is another client's."""

    code = "server.node_key_refused"


class TrackingUnreachable(ServerError):
    """The MLflow server did not answer, or refused."""

    code = "server.tracking_unreachable"
    exit_status = EX_TEMPFAIL


class ModelMissing(ServerError):
    """There is no such model version or alias."""

    code = "server.model_missing"


class ModelDamaged(ServerError):
    """A stored model's files are not what its hashes say; it is never loaded."""

    code = "server.model_damaged"


class SameModel(ServerError):
    """A version was to be compared with itself."""

    code = "server.same_model"


class EnrolmentUnreadable(ServerError):
    """What a client enrolled for cannot be read, so no run begins."""

    code = "server.enrolment_unreadable"


class RollbackRefused(ServerError):
    """A rollback to the champion itself, or to a version that never was champion."""

    code = "server.rollback_refused"


class ChampionChanged(ServerError):
    """Another version became the champion while an index of the former one was built."""

    code = "server.champion_changed"
    exit_status = EX_TEMPFAIL
