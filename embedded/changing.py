"""How a running stack's layout follows what was written down of one client; the other clients' services run on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from embedded.catalogue import ensure_buckets
from embedded.enrolment import Enrolment
from embedded.environments import client_env_path
from embedded.layout import Layout
from embedded.object_store import ObjectStore
from embedded.ports import Ports
from embedded.running import Running
from embedded.service import Service
from embedded.supernode import admit, retire


def change(
    layout: Layout,
    enrolment: Enrolment,
    *,
    running: Running,
    ports: Ports,
    cancel: threading.Event,
    adopt: Callable[[Layout], None],
) -> None:
    """End, begin, or begin anew the services of one client.

    Args:
        layout: of now.
        enrolment: what it shall be like.
        running: the services' processes.
        ports: where new ones listen.
        cancel: see `Running.start`.
        adopt: takes each layout that is in force from then on.

    Raises:
        EmbeddedError: a service of the client did not start; it is out of the layout, and the others go on.
        ServerError: the SuperLink did not answer.
    """
    name = enrolment.name
    for service in reversed(layout.of_client(name)):
        running.end(service)
    # One that only got new keys stays where it is, ports and all.
    stays = name in layout.clients and not enrolment.is_removed and layout.runs(name) is not enrolment.is_elsewhere
    if name in layout.clients and not stays:
        layout = layout.without_client(name)
    if not enrolment.is_removed and not stays:
        layout = layout.with_client(name, ports, is_elsewhere=enrolment.is_elsewhere)
        ports.save()
    adopt(layout)
    layout.write_files()
    if enrolment.is_removed:
        client_env_path(layout.state, name).unlink(missing_ok=True)
    try:
        running.join(layout.of_client(name), cancel, _fit_out)
        settle(layout, [enrolment])
    except BaseException:
        # Its files stay: the next start, or another `client add`, tries again.
        adopt(layout.without_client(name))
        raise


def settle(layout: Layout, enrolments: Iterable[Enrolment]) -> None:
    """Tell the SuperLink of clients that no SuperNode of this stack speaks for."""
    if layout.superlink is None:
        return
    for enrolment in enrolments:
        if enrolment.is_removed:
            retire(layout.superlink, enrolment.name)
        elif enrolment.is_elsewhere:
            admit(layout.superlink, enrolment.name)


def _fit_out(service: Service) -> None:
    if isinstance(service, ObjectStore):
        ensure_buckets([service.bucket(service.owner)])
