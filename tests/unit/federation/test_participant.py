"""What a participant of a masked sum refuses keeps its term its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from federation.errors import MaskingRefused, UnmaskingFailed
from federation.masking.keys import public_of
from federation.masking.participant import Participant
from federation.masking.session import threshold_of
from federation.masking.shamir import combine
from tests.unit.federation.masking import (
    NAMES,
    SESSION,
    accepted,
    shared,
)


def test_threshold_is_more_than_half() -> None:
    assert [threshold_of(n) for n in (3, 4, 5, 6, 10, 11)] == [3, 3, 3, 4, 6, 6]
    assert threshold_of(5, needed=5) == 5


@pytest.mark.parametrize("names", [(), ("boreal",)])
def test_fewer_than_three_hide_nothing_and_are_refused(names: tuple[str, ...]) -> None:
    me, mine = Participant.begin("aurora", SESSION)
    others = {name: Participant.begin(name, SESSION)[1] for name in names}
    with pytest.raises(MaskingRefused, match="3 to 256"):
        me.share({"aurora": mine, **others}, 3)


@pytest.mark.parametrize("threshold", [0, 1, 2, 6])
def test_threshold_of_half_or_more_than_all_is_refused(threshold: int) -> None:
    me, mine = Participant.begin("aurora", SESSION)
    keys = {name: Participant.begin(name, SESSION)[1] for name in NAMES} | {"aurora": mine}
    with pytest.raises(MaskingRefused, match="at least 3"):
        me.share(keys, threshold)


def test_keys_that_are_not_its_own_or_twice_the_same_are_refused() -> None:
    me, mine = Participant.begin("aurora", SESSION)
    keys = {name: Participant.begin(name, SESSION)[1] for name in NAMES}
    with pytest.raises(MaskingRefused, match="not those that it advertised"):
        me.share(keys, 3)
    keys |= {"aurora": mine}
    with pytest.raises(MaskingRefused, match="the same key"):
        me.share(keys | {"boreal": keys["cobre"]}, 3)
    with pytest.raises(MaskingRefused, match="not those that it advertised"):
        me.share({name: theirs for name, theirs in keys.items() if name != "aurora"}, 3)


def test_share_that_is_altered_or_from_another_or_for_another_or_of_another_session_is_refused() -> None:
    them, _, sealed = shared()
    me = them["aurora"]
    good = {name: shares["aurora"] for name, shares in sealed.items() if name != "aurora"}
    flipped = bytearray(good["boreal"])
    flipped[20] ^= 1
    replayed = replace(SESSION, attempt=2)
    _, _, others = shared(session=replayed)
    for wrong in (bytes(flipped), good["cobre"], sealed["boreal"]["cobre"], others["boreal"]["aurora"], b"", b"short"):
        with pytest.raises(MaskingRefused, match="not authentic"):
            me.accept(good | {"boreal": wrong})
    with pytest.raises(MaskingRefused, match="of whom none is due"):
        me.accept(good | {"mallory": b""})
    with pytest.raises(MaskingRefused, match="of whom none is due"):
        me.accept(good | {"aurora": b""})


def test_same_keys_in_another_session_give_other_channels() -> None:
    """A share of round 1 is not accepted in round 2, even if its keys had been kept."""
    them, _, sealed = shared()
    me = replace(them["aurora"], session=replace(SESSION, round=2))
    with pytest.raises(MaskingRefused, match="not authentic"):
        accepted(me, sealed)


def test_too_few_shares_are_refused_before_anything_is_masked() -> None:
    them, _, sealed = shared()
    with pytest.raises(MaskingRefused, match="2 participants shared; 3 are needed"):
        them["aurora"].accept({"boreal": sealed["boreal"]["aurora"]})


def ready() -> Participant:
    """aurora, having masked a term."""
    them, _, sealed = shared()
    return accepted(them["aurora"], sealed).mask(np.zeros(10, np.uint32))


def test_no_stage_is_entered_twice_or_out_of_order() -> None:
    them, keys, sealed = shared()
    me = them["aurora"]
    with pytest.raises(MaskingRefused, match="has shared already"):
        me.share(keys, 3)
    with pytest.raises(MaskingRefused, match="has shared already"):
        me.mask(np.zeros(3, np.uint32))
    with pytest.raises(MaskingRefused, match="while it had shared"):
        me.reveal(NAMES, ())
    done = ready()
    for again in (
        lambda: done.mask(np.zeros(3, np.uint32)),
        lambda: accepted(done, sealed),
        lambda: done.share(keys, 3),
    ):
        with pytest.raises(MaskingRefused, match="has masked already"):
            again()
    with pytest.raises(MaskingRefused, match="has advertised already"):
        Participant.begin("aurora", SESSION)[0].accept({})


def test_a_participant_that_has_masked_knows_no_secret_of_its_own() -> None:
    assert ready().secret is None


@pytest.mark.parametrize(
    ("survivors", "dropped", "why"),
    [
        (NAMES, ("boreal",), "both secrets"),
        (NAMES[:3], NAMES[2:], "both secrets"),
        (NAMES[:3], (), "are not those who shared"),
        (NAMES, ("mallory",), "are not those who shared"),
        ((*NAMES[:4], "mallory"), NAMES[4:], "are not those who shared"),
        (NAMES[:2], NAMES[2:], "2 participants are left; 3 are needed"),
        (NAMES[1:], NAMES[:1], "is said to have dropped out"),
        ((), NAMES, "is said to have dropped out"),
    ],
)
def test_request_that_would_unmask_a_single_term_is_refused(
    survivors: tuple[str, ...], dropped: tuple[str, ...], why: str
) -> None:
    with pytest.raises(MaskingRefused, match=why):
        ready().reveal(survivors, dropped)


def test_of_nobody_both_secrets_are_revealed() -> None:
    revealed = ready().reveal(NAMES[:3], NAMES[3:])
    assert set(revealed.seeds) == set(NAMES[:3])
    assert set(revealed.masks) == set(NAMES[3:])


def test_two_groups_told_different_things_cannot_both_be_large_enough() -> None:
    """The coordinator tells some that boreal dropped out and others that it did not: neither secret has its shares."""
    them, _, sealed = shared()
    done = {name: accepted(them[name], sealed).mask(np.zeros(4, np.uint32)) for name in NAMES}
    lost = {n: done[n].reveal(("aurora", "cobre", "duna", "espiga"), ("boreal",)) for n in ("aurora", "cobre")}
    kept = {n: done[n].reveal(NAMES, ()) for n in ("boreal", "duna", "espiga")}
    points = {name: place for place, name in enumerate(sorted(NAMES), start=1)}
    assert public_of(combine({points[n]: kept[n].seeds["boreal"] for n in kept}))
    with pytest.raises(UnmaskingFailed):
        combine({points[n]: lost[n].masks["boreal"] for n in lost})
