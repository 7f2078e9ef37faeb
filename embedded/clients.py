"""`tejido client` on an embedded stack: add a client, or give it new keys, while the stack runs or while none does.

What shall be so is written down first; a stack that runs does it within seconds, the next one at its start. Every step
makes only what is missing, so a command that was broken off is completed by the same command.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from core.limits import Limit, limit_after
from core.names import checked_client_name, client_bucket_name
from deployment.handover import Handover
from embedded.enrolment import Enrolment, Enrolments
from embedded.environments import client_environment, first_policy
from embedded.errors import ClientNotEnrolled, EnrolmentFailed, RemovalUnfinished, StackLocked
from embedded.following import ALL
from embedded.object_store import ObjectStore, owner_secrets
from embedded.ports import LOOPBACK, Port, Ports
from embedded.state import StateFolder, StateLock
from embedded.superlink import certificates
from embedded.supernode import key_of

WAIT_S, LOOK_S, LOOKED_S = 120.0, 0.2, 3.0
S3_PORT, SUPERLINK_PORT = 9011, 8000


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    client: str
    is_running: bool
    """Whether a stack did it at once."""
    folder: Path
    written: tuple[str, ...]
    """What was made or renewed; nothing where all was there already."""


class Clients:
    """The clients of one state folder.

    Args:
        state: the folder.
        wait_s: how long a running stack may take for a change.
    """

    def __init__(self, state: StateFolder, *, wait_s: float = WAIT_S) -> None:
        self._state, self._wait_s = state, wait_s
        self._enrolments = Enrolments(state)

    def add(self, name: str, *, limit: Limit = None, is_elsewhere: bool, out: Path | None) -> Done:
        """Enrol a client and write its folder; the limit of one that is enrolled stays where nothing is said of it.

        Raises:
            ClientNameInvalid: no host, bucket or folder can be called so.
            EnrolmentFailed: the running stack could not start its services.
            RemovalUnfinished: one of this name is half removed: it would find what the former one had.
            HandoverInvalid: its folder cannot be written there.
        """
        with self.alone():
            wanted, before = Enrolment.of(name, is_elsewhere=is_elsewhere), self._enrolments.get(name)
            # One that was removed comes back as a new one.
            held = before.max_examples if before and not before.is_removed else None
            wanted = replace(wanted, max_examples=limit_after(limit, held))
            return self._bring_about(self._following_on(before, wanted), out, before)

    def _following_on(self, before: Enrolment | None, wanted: Enrolment) -> Enrolment:
        """What shall be so, and whether the client's services must start anew for it."""
        name, is_elsewhere = wanted.name, wanted.is_elsewhere
        if before and not before.is_removed:
            # Its keys are the same, and so is the day on which it came; keys that were lost are made anew.
            is_whole = not self.missing(name) and not self.has_failed(name)
            anew = before.is_elsewhere is not is_elsewhere or not is_whole
            same = replace(
                wanted, since=before.since, actor=before.actor, is_new=before.is_new, revision=before.revision
            )
            return same if same == before and not anew else replace(same, revision=same.revision + anew, is_new=False)
        if before:
            if not before.is_cleared:
                raise RemovalUnfinished(
                    f"The removal of {name} was broken off: rows, accounts or keys of the former one may be there.",
                    hint=f"Finish it: `tejido client remove {name}`; then add it.",
                )
            # A key that was unregistered is never accepted again.
            self._forget_secrets(name)
            return replace(wanted, revision=before.revision + 1)
        return replace(wanted, revision=2) if is_elsewhere and name in self._listed() else wanted

    def rotate(self, name: str, *, out: Path | None) -> Done:
        """Give a client a new node key, new storage keys and a new secret between its processes.

        The old ones open nothing from the moment on at which the stack has them; one that does not run, at its start.

        Raises:
            ClientNotEnrolled: there is no such client.
            EnrolmentFailed: see `add`.
        """
        with self.alone():
            before = self.require(name)
            # Broken off after this, `add` or another `rotate` finds them missing and goes on.
            self._forget_secrets(name)
            return self._bring_about(replace(before, revision=before.revision + 1, is_new=False), out, before)

    def require(self, name: str) -> Enrolment:
        """A client that takes part.

        Raises:
            ClientNotEnrolled: there is none of that name.
        """
        found = self._enrolments.get(checked_client_name(name))
        if found is None and name in self._listed():
            return Enrolment.of(name)
        if found is None or found.is_removed:
            raise ClientNotEnrolled(
                f"There is no client {name} in {self._state.root}.", hint=f"Add it: `tejido client add {name}`."
            )
        return found

    def is_running(self) -> bool:
        """Whether a stack runs over the folder."""
        with self._alone() as is_running:
            return is_running

    def names(self) -> list[str]:
        """Who takes part, as the last stack had it and as was said since."""
        return list(self._enrolments.clients(self._listed()))

    def secrets(self, name: str) -> list[Path]:
        """The files of every secret by which a client is known."""
        folder = self._state.secrets
        return [
            folder / "nodes" / f"{name}.key",
            folder / "nodes" / f"{name}.pub",
            *(folder / secret for secret in owner_secrets(client_bucket_name(name))),
            folder / f"superexec-{name}",
        ]

    def missing(self, name: str) -> list[str]:
        """Names of those of them that are not there."""
        return [path.name for path in self.secrets(name) if not path.exists()]

    def has_failed(self, name: str) -> bool:
        """Whether the stack could not do what it was last told of a client."""
        return name in self._described().get("failed", {})

    def services_of(self, name: str) -> list[str]:
        """What runs for a client, as the running stack describes it."""
        ends = (f"s3-{client_bucket_name(name)}", f"supernode-{name}", f"clientapps-{name}")
        return [slug for slug in self._described().get("services", {}) if slug in ends]

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """One command at a time changes the clients of a folder; the next one waits, and sees what this one did."""
        with (self._state.run / "clients.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def folder(self, name: str, out: Path | None) -> Path:
        """What is copied to the client."""
        return (out or self._state.root / "handover" / name).expanduser()

    def say(self, wanted: Enrolment) -> bool:
        """Write down what shall be so; where a stack runs, wait until it is. Whether one runs.

        Raises:
            EnrolmentFailed: it could not be done, or not in time.
        """
        with self._alone() as is_running:
            if self._enrolments.get(wanted.name) != wanted:
                self._enrolments.put(wanted)
        if is_running:
            self._await(wanted)
        return is_running

    def _bring_about(self, wanted: Enrolment, out: Path | None, before: Enrolment | None) -> Done:
        missing = self.missing(wanted.name)
        is_running = self.say(wanted)
        folder = self.folder(wanted.name, out)
        changed = missing + self._handover(wanted, is_running=is_running).write(folder)
        if before != wanted:
            changed.append("enrolment")
        return Done(wanted.name, is_running, folder, tuple(changed))

    def _forget_secrets(self, name: str) -> None:
        for path in self.secrets(name):
            path.unlink(missing_ok=True)

    def _handover(self, wanted: Enrolment, *, is_running: bool) -> Handover:
        state, name = self._state, wanted.name
        store_port, superlink = self._addresses(wanted, is_running=is_running)
        store = ObjectStore(state=state, port=store_port, owner=wanted.bucket)
        settings = client_environment(state, store.client_bucket(name))
        # Its receipts lie below its own state folder; where an older release began them, they stay.
        del settings["receipts_dir"]
        return Handover(
            name=name,
            bucket=wanted.bucket,
            superlink=superlink,
            authority=certificates(state).authority.read_text(),
            node_key=key_of(state, name).private.read_text(),
            superexec=state.secret(f"superexec-{name}"),
            # Where its folder was copied to.
            settings={**settings, "state_dir": "state", "cache_dir": "cache"},
            policy=first_policy(state, name),
            max_examples=wanted.max_examples,
        )

    def _addresses(self, wanted: Enrolment, *, is_running: bool) -> tuple[Port, str]:
        """The port of the client's S3 server, and where the SuperLink is: now, or from the next start on."""
        if is_running:
            services = self._described()["services"]
            number = int(services[f"s3-{wanted.bucket}"]["url"].rpartition(":")[2])
            # Who is elsewhere comes through the gate, where there is one.
            slug = "gate" if wanted.is_elsewhere and "gate" in services else "superlink"
            superlink = services.get(slug, {}).get("url", "").removeprefix("https://")
            return Port("S3", number, number), superlink or f"{LOOPBACK}:{SUPERLINK_PORT}"
        ports = Ports(self._state.run / "ports.json")
        try:
            store = ports.take(f"S3 of {wanted.bucket}", S3_PORT)
            superlink_port = ports.take("Flower SuperLink", SUPERLINK_PORT)
            ports.save()
        finally:
            ports.release()
        return store, f"{LOOPBACK}:{superlink_port.number}"

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Keep a stack from starting meanwhile; yields whether one runs already."""
        lock = StateLock(self._state)
        try:
            lock.acquire()
        except StackLocked:
            yield True
            return
        try:
            yield False
        finally:
            lock.release()

    def _await(self, wanted: Enrolment) -> None:
        began, told = time.monotonic(), asdict(wanted)
        while time.monotonic() < began + self._wait_s:
            described = self._described()
            failed = described.get("failed", {})
            mine, all_of_them = failed.get(wanted.name, {}), failed.get(ALL, {})
            # What failed before this was written down says nothing of it; the stack looks anew within a second.
            is_of_now = mine.get("enrolment") == told or (all_of_them and time.monotonic() > began + LOOKED_S)
            if is_of_now:
                raise EnrolmentFailed(
                    f"The running stack could not do it for {wanted.name}: {(mine or all_of_them)['why']}",
                    hint="Mend what it says and give the command again; all other clients run on.",
                )
            if described.get("enrolments", {}).get(wanted.name) == told:
                return
            time.sleep(LOOK_S)
        raise EnrolmentFailed(
            f"The running stack did not do it for {wanted.name} within {self._wait_s:.0f} s.",
            hint="It may still be starting; give the command again once `tejido doctor` finds it well.",
        )

    def _described(self) -> dict[str, Any]:
        path = self._state.run / "stack.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def _listed(self) -> list[str]:
        path = self._state.run / "clients.json"
        return [str(entry["name"]) for entry in json.loads(path.read_text())] if path.exists() else []
