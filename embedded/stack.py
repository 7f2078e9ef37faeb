"""The whole platform as child processes of one command."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType, TracebackType

from core.files import write_atomically
from core.settings import Settings
from embedded.airflow import AirflowDatabase
from embedded.catalogue import CatalogueStores
from embedded.changing import change, settle
from embedded.enrolment import Enrolment, Enrolments, write_down
from embedded.environments import client_env_path, platform_env_path, read_environment
from embedded.following import Failed, Follower
from embedded.layout import Layout, Parts, lay_out
from embedded.ports import Ports
from embedded.postgres import data_folder
from embedded.reaper import Reaper
from embedded.running import Event, Listener, Running, keep_previous
from embedded.service import Service, Steps
from embedded.starting import Cancelled, Step, start_all
from embedded.state import StateFolder, StateLock
from embedded.sweep import sweep

LOOK_EVERY_S = 1.0


def tell_nobody(event: Event) -> None:
    """For callers that do not look."""


class Stack:
    """PostgreSQL, Valkey, S3, MLflow, Airflow, Flower and the API over one state folder.

    Used as a context manager it ends everything when the block is left, also by Ctrl-C, SIGTERM or SIGHUP; if this
    process is killed outright, a reaper does it. Starting again over the same folder goes on from its state.

    Args:
        state_dir: made if need be; one stack at a time may use it.
        clients: names of the clients, each of which gets a bucket, an S3 server and a SuperNode of its own.
        parts: which parts to start besides the stores and MLflow.
        tell: called with each event, from several threads but one at a time.
    """

    def __init__(
        self,
        state_dir: Path,
        clients: Sequence[str],
        *,
        parts: Parts | None = None,
        tell: Listener = tell_nobody,
    ) -> None:
        self._given = tuple(clients)
        self._clients = self._given
        self._parts = parts or Parts()
        self._tell = tell
        self.state = StateFolder.at(state_dir)
        self._lock = StateLock(self.state)
        self._enrolments = Enrolments(self.state)
        self._ports = Ports(self.state.run / "ports.json")
        self._running = Running(self.state, self._note)
        self._cancel = threading.Event()
        self._telling = threading.Lock()
        self._reaper: Reaper | None = None
        self._layout: Layout | None = None
        self._follower: Follower | None = None
        self._handlers: dict[signal.Signals, object] = {}
        self.seconds: dict[str, float] = {}
        """Seconds that each service took to be ready, by its name; "total" for all."""

    def __enter__(self) -> Stack:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and return when all of it answers; on any failure nothing is left running.

        Raises:
            EmbeddedError: see embedded.errors.
        """
        began = time.monotonic()
        self._lock.acquire()
        try:
            self._catch_signals()
            # Of a stack that was killed: whoever waits for this one must not read what that one did.
            self._description.unlink(missing_ok=True)
            data = data_folder(self.state)
            sweep(self.state.stack_id, data)
            self._reaper = Reaper(self.state.stack_id, data)
            known = self._enrolments.all()
            self._clients = self._enrolments.clients(self._given)
            elsewhere = {name for name, enrolment in known.items() if enrolment.is_elsewhere}
            self._layout = lay_out(self.state, self._clients, self._parts, self._ports, elsewhere=elsewhere)
            self._announce_ports(self._layout)
            self._layout.write_files()
            start_all([*self._layout.services, *self._layout.steps], self._start_step, self._cancel)
            for enrolment in known.values():
                write_down(self.settings(), enrolment)
            settle(self._layout, known.values())
            self._follower = Follower(self._enrolments.all, self._apply, self._write_description)
            self._follower.start(known)
        except BaseException:
            self.stop()
            raise
        self.seconds["total"] = time.monotonic() - began

    def check(self) -> None:
        """Look whether every service runs; cheap, call it every second or so.

        Raises:
            ServiceCrashed: one has ended by itself; shows the end of its log.
        """
        self._running.check()

    def ended(self) -> list[str]:
        """Slugs of the services that have died, for whoever restarts them."""
        return self._running.ended()

    def restart(self, slug: str) -> None:
        """Start one service of a running stack anew, as a supervisor does when it has died.

        Raises:
            EmbeddedError: it did not start; the rest of the stack goes on.
            KeyError: this stack runs no such service.
        """
        services = {service.slug: service for service in (self._layout.services if self._layout else ())}
        self._running.restart(services[slug], self._cancel)

    def wait(self) -> None:
        """Watch until a service crashes or the process is interrupted.

        Raises:
            ServiceCrashed: see ``check``.
        """
        while True:
            self.check()
            time.sleep(LOOK_EVERY_S)

    def stop(self) -> None:
        """End everything that belongs to the state folder, and wait until it is gone. Harmless when nothing runs."""
        with self._deaf_to_signals():
            self._cancel.set()
            if self._follower is not None:
                self._follower.stop()
                self._follower = None
            self._running.stop()
            if self._reaper is not None:
                # The reaper bears the mark too, and is dismissed by the sweep.
                sweep(self.state.stack_id, data_folder(self.state))
                self._reaper.dismiss()
                self._reaper = None
            self._description.unlink(missing_ok=True)
            self._ports.release()
            self._lock.release()
        self._hear_signals_as_before()
        self._cancel = threading.Event()

    def settings(self) -> Settings:
        """The settings of the platform's processes."""
        return read_environment(platform_env_path(self.state))

    def client_settings(self, client: str) -> Settings:
        """The settings of one client's processes."""
        return read_environment(client_env_path(self.state, client))

    @property
    def platform_env(self) -> Path:
        """What a process of the platform is pointed to by TEJIDO_ENV_FILE."""
        return platform_env_path(self.state)

    @property
    def clients(self) -> tuple[str, ...]:
        """Names of the clients."""
        return self._clients

    @property
    def urls(self) -> dict[str, str]:
        """Where each service answers, by its name, without secrets."""
        return {service.name: service.url for service in (self._layout.services if self._layout else ())}

    @property
    def pids(self) -> dict[str, int]:
        """The main process of each service, by slug."""
        return self._running.pids()

    def log(self, slug: str) -> Path:
        """The log of one service."""
        return self.state.logs / f"{slug}.log"

    def _start_step(self, step: Step) -> None:
        if isinstance(step, CatalogueStores | AirflowDatabase):
            began = time.monotonic()
            steps = Steps(self.state, step.slug, self._cancel)
            keep_previous(steps)
            step.run(steps)
            seconds = time.monotonic() - began
            self._note(Event("ready", step.name, f"{step.name} ready in {seconds:.1f} s", seconds))
        else:
            self._running.start(self._service(step), self._cancel)
        if self._cancel.is_set():
            raise Cancelled

    def _service(self, step: Step) -> Service:
        services = self._layout.services if self._layout else ()
        return next(service for service in services if service.slug == step.slug)

    def _note(self, event: Event) -> None:
        # Services start at the same time; a listener hears of one thing at a time.
        with self._telling:
            if event.kind == "ready":
                self.seconds[event.service] = event.seconds
            self._tell(event)

    def _announce_ports(self, layout: Layout) -> None:
        self._ports.save()
        for port in layout.ports:
            if port.notice:
                self._tell(Event("notice", port.service, port.notice))

    def _apply(self, enrolment: Enrolment, in_force: int) -> None:
        """Bring one client of the running stack to what was written down of it."""
        layout = self._layout
        if layout is None:
            raise Cancelled
        write_down(self.settings(), enrolment)
        if enrolment.name in layout.clients and not enrolment.is_removed and enrolment.revision <= max(in_force, 1):
            return
        change(layout, enrolment, running=self._running, ports=self._ports, cancel=self._cancel, adopt=self._adopt)

    def _adopt(self, layout: Layout) -> None:
        self._layout, self._clients = layout, layout.clients

    def _write_description(self, done: Mapping[str, Enrolment], failed: Mapping[str, Failed]) -> None:
        pids, layout = self._running.pids(), self._layout
        services = (
            {s.slug: {"name": s.name, "url": s.url, "pid": pids.get(s.slug)} for s in layout.services} if layout else {}
        )
        description = {
            "state_dir": str(self.state.root),
            "clients": list(self._clients),
            "services": services,
            "enrolments": {name: asdict(enrolment) for name, enrolment in done.items()},
            "failed": {name: asdict(found) for name, found in failed.items()},
        }
        write_atomically(self._description, json.dumps(description, indent=2).encode())

    @property
    def _description(self) -> Path:
        return self.state.run / "stack.json"

    def _catch_signals(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for which in (signal.SIGTERM, signal.SIGHUP):
                self._handlers[which] = signal.signal(which, _exit)

    def _hear_signals_as_before(self) -> None:
        while self._handlers:
            which, handler = self._handlers.popitem()
            signal.signal(which, handler)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def _deaf_to_signals(self) -> Iterator[None]:
        """A second Ctrl-C must not leave half of the services behind; ending is bounded in time anyway."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        chosen = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {which: signal.signal(which, signal.SIG_IGN) for which in chosen}
        try:
            yield
        finally:
            for which, handler in before.items():
                signal.signal(which, handler)


def _exit(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
