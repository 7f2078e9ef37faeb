"""Starts many things at once, each as soon as what it needs is ready."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Protocol

LOOK_S = 0.2


class Step(Protocol):
    """Something to be made ready."""

    @property
    def slug(self) -> str:
        """Its name among the others."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Slugs of what must be ready before."""


class Cancelled(Exception):
    """Something else failed, or a person interrupted: do not go on."""


def start_all(steps: Sequence[Step], start: Callable[[Step], None], cancel: threading.Event) -> None:
    """Call ``start`` for each step in a thread of its own, after all that it needs.

    Args:
        steps: in any order; every need must be among them.
        start: makes one step ready; must give up soon after ``cancel`` is set.
        cancel: set when one step fails or the caller is interrupted.

    Raises:
        Exception: what the first failing step raised, after all others have given up.
    """
    _check_needs(steps)
    ready = {step.slug: threading.Event() for step in steps}

    def begin(step: Step) -> None:
        for need in step.needs:
            while not ready[need].wait(LOOK_S):
                if cancel.is_set():
                    raise Cancelled
        if cancel.is_set():
            raise Cancelled
        start(step)
        ready[step.slug].set()

    with ThreadPoolExecutor(max_workers=max(len(steps), 1), thread_name_prefix="start") as pool:
        futures = [pool.submit(begin, step) for step in steps]
        try:
            _follow(futures)
        except BaseException:
            cancel.set()
            raise


def _follow(futures: Sequence[Future[None]]) -> None:
    waiting = set(futures)
    while waiting:
        # Short waits, so that Ctrl-C is heard while the threads work.
        done, waiting = wait(waiting, timeout=LOOK_S, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()


def _check_needs(steps: Sequence[Step]) -> None:
    """Refuse needs that nothing fulfils and circles: both would wait for ever."""
    left = {step.slug: set(step.needs) for step in steps}
    while left:
        able = {slug for slug, needs in left.items() if not needs & set(left)}
        unknown = set().union(*left.values()) - {step.slug for step in steps}
        if unknown or not able:
            raise ValueError(f"these cannot start: {sorted(left)}; unknown needs: {sorted(unknown)}")
        for slug in able:
            del left[slug]
