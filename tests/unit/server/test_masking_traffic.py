"""What the coordinator of a confidential round is sent, what it logs, and what it never receives."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import structlog
from flwr.app import Message

from federation.masking.grid import SumGrid
from federation.masking.session import threshold_of
from federation.privacy.clipping import clip
from federation.wire import lanes_record, unpack_lanes
from server.errors import QuorumMissed
from server.exchange import MASKING, REVEALING
from tests.unit.server.masked import (
    CONFIG,
    NAMES,
    SIZE,
    Market,
    counted,
    flat,
    learned,
    play,
)

GRID = SumGrid.of(CONFIG, participants=5, threshold=threshold_of(5))
TERMS = {name: GRID.encode(learned(name)) for name in NAMES.values()}
"""What each client masks in the first round."""


def arrived(market: Market) -> list[tuple[str, np.ndarray]]:
    """The updates that the coordinator received."""
    replies = [(name, reply.content.array_records.get("arrays")) for name, reply in market.received]
    return [(name, unpack_lanes(arrays, size=SIZE)) for name, arrays in replies if arrays is not None]


def shows(lanes: np.ndarray, term: np.ndarray) -> bool:
    """Whether numbers equal a client's, or go with them. A value equals by chance once in 2^32."""
    together = np.corrcoef(lanes.view(np.int32).astype(float), term.view(np.int32).astype(float))[0, 1]
    return bool((lanes == term).any() or abs(together) > 5 / math.sqrt(SIZE))


def is_uniform(lanes: np.ndarray) -> bool:
    """Of its bytes, by chi squared: with 255 degrees of freedom 382 is exceeded by chance once in a million."""
    expected = lanes.nbytes / 256
    counts = np.bincount(np.frombuffer(lanes.tobytes(), np.uint8), minlength=256)
    return bool(np.square(counts - expected).sum() / expected < 382)


def plain_bytes(name: str) -> list[bytes]:
    """Eight values in a row of what a client learned: as learned, as clipped, as rounded."""
    update = learned(name)
    forms = [TERMS[name], *(flat(form).astype(np.float32) for form in (update, clip(update, 1 - 1e-5)))]
    return [form[100:108].tobytes() for form in forms]


def test_coordinator_never_receives_an_update_and_its_log_holds_none(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.leave(["boreal"], REVEALING)
    market.leave(["cobre"], MASKING)
    with structlog.testing.capture_logs() as lines:
        outcome = play(market)
    assert counted(outcome) == set(NAMES.values()) - {"cobre"}
    seen = arrived(market)
    assert {name for name, _ in seen} == counted(outcome)
    for _, masked in seen:
        assert is_uniform(masked)
        assert not any(shows(masked, term) for term in TERMS.values())
    # Nor does any part of the sum show one: every client shares a mask with every other.
    for several in (group for size in (2, 3) for group in itertools.combinations([lanes for _, lanes in seen], size)):
        assert is_uniform(sum(several[1:], several[0]))
        assert is_uniform(several[0] - several[1])
    received = b"".join(dump(reply) for _, reply in market.received)
    assert not any(plain in received for name in NAMES.values() for plain in plain_bytes(name))
    told = repr(lines)
    values = {f"{value:.4g}" for name in NAMES.values() for value in flat(learned(name))[:300]}
    assert not any(value in told for value in values if len(value) > 6)


def test_the_scan_would_find_an_update_that_is_not_masked(tmp_path: Path) -> None:
    """Guards the test above."""
    market = Market(tmp_path)
    honest = market.merchants["boreal"].answer

    def bare(message: Message) -> Message:
        reply = honest(message)
        reply.content["arrays"] = lanes_record(TERMS["boreal"])
        return reply

    market.merchants["boreal"].gone = {MASKING: bare}
    with pytest.raises(QuorumMissed):
        play(market)
    ((_, lanes),) = [(name, lanes) for name, lanes in arrived(market) if name == "boreal"]
    assert shows(lanes, TERMS["boreal"])
    assert not is_uniform(lanes)
    received = b"".join(dump(reply) for _, reply in market.received)
    assert plain_bytes("boreal")[0] in received


def dump(reply: Message) -> bytes:
    """All bytes of a message."""
    content = reply.content
    arrays = [array.data for record in content.array_records.values() for array in record.values()]
    records = [repr(dict(record)).encode() for record in content.config_records.values()]
    metrics = [repr(dict(record)).encode() for record in content.metric_records.values()]
    return b"".join([*arrays, *records, *metrics])


def test_secrets_are_never_sent_but_in_shares_of_the_kind_that_is_due(tmp_path: Path) -> None:
    """The coordinator gets the seed's shares of survivors, the key's shares of the others, of nobody both."""
    market = Market(tmp_path)
    market.leave(["cobre"], MASKING)
    play(market)
    for name, reply in market.received:
        if "revealed" in reply.content:
            revealed = reply.content.config_records["revealed"]
            assert revealed["survivors"] == ["aurora", "boreal", "duna", "espiga"], name
            assert revealed["dropped"] == ["cobre"]


def test_client_forgets_the_round_once_it_has_revealed(tmp_path: Path) -> None:
    market = Market(tmp_path)
    play(market)
    assert not any(len(merchant.context.state) for merchant in market.merchants.values())
