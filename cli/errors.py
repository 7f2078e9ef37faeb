"""What can go wrong while a command drives the other parts.

CommandError
├── BadOption          an option's value makes no sense
├── AirflowUnreachable Airflow's REST API did not answer
├── AirflowRefused     it answered with an error
├── TaskFailed         a task of a DAG run failed; the message ends with the tail of its log
├── RunTimedOut        a DAG run took longer than it may
├── NothingPromoted    the pipeline came to its end without a model that serves
├── ApiRefused         the GraphQL API answered with an error
├── LeavingUnproved    something of a removed client is still there
├── UserExists         a user of this name is there already
└── StackNotRunning    a command needs the stack, and none runs in this state folder
"""

from __future__ import annotations

from core.errors import TejidoError


class CommandError(TejidoError):
    """A command could not do its work."""

    code = "command.failed"


class BadOption(CommandError):
    """An option's value makes no sense."""

    code = "command.bad_option"
    exit_status = 2


class AirflowUnreachable(CommandError):
    """Airflow's REST API did not answer."""

    code = "airflow.unreachable"


class AirflowRefused(CommandError):
    """Airflow's REST API answered with an error."""

    code = "airflow.refused"


class TaskFailed(CommandError):
    """A task of a DAG run failed."""

    code = "airflow.task_failed"


class RunTimedOut(CommandError):
    """A DAG run took longer than it may."""

    code = "airflow.run_timed_out"


class NothingPromoted(CommandError):
    """The pipeline came to its end without a model that serves."""

    code = "command.nothing_promoted"


class ApiUnreachable(CommandError):
    """The API did not answer a request."""

    code = "api.unreachable"


class ApiRefused(CommandError):
    """The API answered a request with an error."""

    code = "api.refused"


class BucketOutdated(CommandError):
    """A client's bucket holds another catalogue version than the one that is live."""

    code = "command.bucket_outdated"


class StackNotRunning(CommandError):
    """No stack runs in this state folder."""

    code = "stack.not_running"


class MachineExists(CommandError):
    """A program of this name is there already."""

    code = "command.machine_exists"


class MachineUnknown(CommandError):
    """There is no program of this name."""

    code = "command.machine_unknown"


class UserExists(CommandError):
    """A user of this name is there already."""

    code = "command.user_exists"


class LeavingUnproved(CommandError):
    """Something of a client that was removed is still there."""

    code = "command.leaving_unproved"
