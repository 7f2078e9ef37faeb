"""The memory of a coordinator's own process, read from outside while it plays a confidential round and after it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Message

from federation.privacy.clipping import clip
from server.exchange import REVEALING
from tests.unit.server.masked import NAMES, STATE, Market, coordinate, flat, learned, plain_mean
from tests.unit.server.test_masking_traffic import TERMS

PLACES = (100, 4900)
"""Where in an update eight values in a row are looked for."""


def memory_of(process: int) -> Iterator[bytes]:
    """All that a process could have written to, region by region."""
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for entry in Path(f"/proc/{process}/maps").read_text().splitlines():
            where, rights = entry.split()[:2]
            if not rights.startswith("rw") or entry.endswith(("[vvar]", "[vsyscall]")):
                continue
            start, end = (int(part, 16) for part in where.split("-"))
            try:
                memory.seek(start)
                yield memory.read(end - start)
            except OSError:
                # A guard page, or one that was given back since.
                continue


def found(process: int, patterns: dict[str, bytes]) -> set[str]:
    """Which of them are in its memory."""
    return {name for region in memory_of(process) for name, pattern in patterns.items() if pattern in region}


def of_client(name: str) -> dict[str, bytes]:
    """Parts of what a client learned: as learned, clipped, in double precision, and on the grid."""
    update = learned(name)
    clipped = flat(clip(update, 1 - 1e-5))
    forms = {
        "learned": flat(update).astype(np.float32),
        "clipped": clipped.astype(np.float32),
        "double": clipped,
        "grid": TERMS[name],
    }
    return {f"{name} {form} {at}": values[at : at + 8].tobytes() for form, values in forms.items() for at in PLACES}


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="processes cannot be read here: no /proc")
def test_no_client_s_update_is_ever_in_the_coordinator_s_memory(tmp_path: Path) -> None:
    secrets = {part: pattern for name in NAMES.values() for part, pattern in of_client(name).items()}
    market = Market(tmp_path)
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=coordinate, args=(there,), daemon=True)
    process.start()
    assert process.pid is not None
    looked: set[str] = set()
    try:
        while True:
            node, kind, content = here.recv()
            if kind in {REVEALING, "done"} - looked:
                # When all masked updates are there, and when the masks are off the sum.
                assert not found(process.pid, secrets)
                looked.add(kind)
            if kind == "done":
                break
            message = Message(content, dst_node_id=node, message_type=kind, group_id="1")
            here.send(market.merchants[NAMES[node]].answer(message).content)
        # The look sees what is there: the state that was sent, the new one, and what the clients sent.
        mean = content
        assert np.abs(flat(mean) - flat(STATE) - plain_mean(NAMES.values())).max() < 1e-6
        seen = {"state": STATE["image.weight"].ravel()[100:108], "new": mean["image.weight"].ravel()[100:108]}
        controls = {name: np.asarray(values).tobytes() for name, values in seen.items()}
        assert found(process.pid, controls) == set(controls)
        here.send("over")
        process.join(20)
        assert process.exitcode == 0
    finally:
        process.kill()
    assert looked == {REVEALING, "done"}
