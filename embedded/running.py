"""The services of a stack while they run: started, watched, and ended in the right order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from embedded.errors import ServiceCrashed, ServiceNotReady
from embedded.process import Child, last_lines
from embedded.service import Service, Steps
from embedded.starting import Cancelled
from embedded.state import StateFolder
from embedded.sweep import kill_service

PROBE_EVERY_S = 0.2


@dataclass(frozen=True)
class Event:
    """Something that a person who waits for the stack wants to see."""

    kind: Literal["starting", "ready", "notice", "stopping"]
    service: str
    text: str
    seconds: float = 0.0
    url: str = ""


Listener = Callable[[Event], None]


class Running:
    """Child processes by service. Safe to use from several threads."""

    def __init__(self, state: StateFolder, tell: Listener) -> None:
        self._state = state
        self._tell = tell
        self._children: dict[str, tuple[Service, Child]] = {}
        self._ready: set[str] = set()
        self._joining: set[str] = set()
        """Of clients that are added while all others run: if one of these dies, `join` tells, and nobody else stops."""
        self._lock = threading.Lock()

    def start(self, service: Service, cancel: threading.Event) -> None:
        """Prepare a service, start its process and wait until it answers.

        Raises:
            Cancelled: ``cancel`` was set meanwhile.
        PreparationFailed: a step before its start failed.
            ServiceCrashed: it ended while it started.
            ServiceNotReady: it did not answer in time.
        """
        began = time.monotonic()
        steps = Steps(self._state, service.slug, cancel)
        keep_previous(steps)
        self._tell(Event("starting", service.name, f"{service.name} starts"))
        service.prepare(steps)
        with self._lock:
            if cancel.is_set():
                raise Cancelled
            child = Child(service.command(), stack_id=self._state.stack_id, service=service.slug, log=steps.log)
            self._children[service.slug] = (service, child)
        self._await_answer(service, child, cancel)
        service.finish(steps)
        self._ready.add(service.slug)
        seconds = time.monotonic() - began
        text = f"{service.name} ready in {seconds:.1f} s at {service.url}"
        self._tell(Event("ready", service.name, text, seconds, service.url))

    def join(self, services: Sequence[Service], cancel: threading.Event, begun: Callable[[Service], None]) -> None:
        """Start services beside those that run, one after the other; on any failure none of these is left running.

        Args:
            services: in the order of their needs.
            cancel: see `start`.
            begun: called with each that answers, before the next one is started.

        Raises:
            EmbeddedError: see `start`.
        """
        self._joining |= {service.slug for service in services}
        try:
            for service in services:
                self.start(service, cancel)
                begun(service)
        except BaseException:
            for service in reversed(services):
                self.end(service)
            raise
        finally:
            self._joining -= {service.slug for service in services}

    def check(self) -> None:
        """Look whether every service that was started still runs.

        Raises:
            ServiceCrashed: one has ended; shows the end of its log.
        """
        for service, child in self._snapshot():
            if service.slug in self._joining:
                continue
            _raise_if_ended(service, child)

    def ended(self) -> list[str]:
        """Slugs of the services that have ended."""
        return [service.slug for service, child in self._snapshot() if child.how_it_ended() is not None]

    def restart(self, service: Service, cancel: threading.Event) -> None:
        """Start a service anew, as a supervisor does; what is left of its processes is killed first.

        Raises:
            EmbeddedError: it did not start; see `start`. It may later: a SuperLink takes a SuperNode that was killed
                for online, and refuses it, until its heartbeat has been silent for a minute.
        """
        self._ready.discard(service.slug)
        kill_service(self._state.stack_id, service.slug)
        with self._lock:
            _, child = self._children.get(service.slug, (service, None))
        if child is not None:
            child.end(within_s=0.0)
        self.start(service, cancel)

    def end(self, service: Service) -> None:
        """End one service for good; harmless where it does not run."""
        with self._lock:
            _, child = self._children.pop(service.slug, (service, None))
        self._ready.discard(service.slug)
        if child is not None:
            child.ask_to_end(service.stop_signal)
            child.end(within_s=service.stop_within_s)
            kill_service(self._state.stack_id, service.slug)

    def stop(self) -> None:
        """End all: first those that use others, then those that are used. Bounded in time."""
        running = self._snapshot()
        waves = (
            [pair for pair in running if pair[0].needs],
            [pair for pair in running if not pair[0].needs],
        )
        for wave in waves:
            for service, child in wave:
                child.ask_to_end(service.stop_signal)
            asked = time.monotonic()
            for service, child in wave:
                child.end(within_s=asked + service.stop_within_s - time.monotonic())
        with self._lock:
            self._children.clear()
            self._ready.clear()

    def pids(self) -> dict[str, int]:
        """The main process of each service, by slug."""
        return {service.slug: child.pid for service, child in self._snapshot()}

    def _snapshot(self) -> list[tuple[Service, Child]]:
        with self._lock:
            return list(self._children.values())

    def _await_answer(self, service: Service, child: Child, cancel: threading.Event) -> None:
        until = time.monotonic() + service.deadline_s
        while not service.is_ready():
            _raise_if_ended(service, child)
            if time.monotonic() > until:
                raise ServiceNotReady(
                    service.name,
                    url=service.url,
                    deadline_s=service.deadline_s,
                    log=child.log,
                    lines=last_lines(child.log),
                )
            if cancel.wait(PROBE_EVERY_S):
                raise Cancelled


def keep_previous(steps: Steps) -> None:
    """Start a new log; the one of the start before is kept beside it."""
    if steps.log.exists():
        steps.log.replace(steps.log.with_suffix(".previous.log"))


def _raise_if_ended(service: Service, child: Child) -> None:
    how = child.how_it_ended()
    if how is not None:
        raise _crashed(service, child, how)


def _crashed(service: Service, child: Child, how: str) -> ServiceCrashed:
    return ServiceCrashed(service.name, how=how, log=child.log, lines=last_lines(child.log))
