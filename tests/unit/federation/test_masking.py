"""A masked sum is the plain sum, whoever drops out and when; and what a participant refuses keeps its term its own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.config import FederationConfig
from federation.errors import FederationConfigError, MaskingRefused, ShapeError, UnmaskingFailed
from federation.masking.grid import SumGrid
from federation.masking.keys import SecretKeys, agreed, public_of
from federation.masking.masks import BLOCK, add_mask, subtract_mask
from federation.masking.participant import Participant, Revealed
from federation.masking.session import MOST, Session, threshold_of
from federation.masking.shamir import PRIME, SHARE_BYTES, combine, share_at, split
from federation.masking.unmasking import Unmasking
from federation.privacy.clipping import clip
from federation.privacy.noise import noise_of_each
from federation.tensors import Tensors
from tests.models import tiny_config
from tests.unit.federation.masking import NAMES, SESSION, SHAPES, STAGES, accepted, drawn, play, shared

UPDATES = {name: drawn(number) for number, name in enumerate(NAMES)}
DROPOUTS = [
    *({},),
    *({name: stage} for stage in STAGES for name in NAMES),
    *(
        {a: s, b: t}
        for s, t in itertools.product(STAGES, repeat=2)
        for a, b in (("aurora", "duna"), ("espiga", "cobre"))
    ),
]
"""Nobody; each alone at each stage; two at each pair of stages."""


def flat(tensors: Tensors) -> np.ndarray:
    return np.concatenate([tensors[name].ravel() for name in sorted(tensors)]).astype(np.float64)


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


# Sharing ------------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(secret=st.binary(min_size=32, max_size=32), data=st.data())
def test_any_threshold_shares_give_the_secret_and_one_fewer_do_not(secret: bytes, data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 12))
    threshold = data.draw(st.integers(2, count))
    shares = dict(enumerate(split(secret, threshold=threshold, shares=count), start=1))
    assert {len(share) for share in shares.values()} == {SHARE_BYTES}
    points = data.draw(st.permutations(list(shares)))[:threshold]
    assert combine({point: shares[point] for point in points}) == secret
    assert combine(shares) == secret
    fewer = {point: shares[point] for point in points[1:]}
    # Out of 2^521 values that nearly all are no secret of 256 bits.
    with pytest.raises(UnmaskingFailed):
        combine(fewer)


def test_shares_are_those_of_the_polynomial(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: 7 + 3 x + 2 x² at 1, 2, 3."""
    coefficients = iter([3, 2])
    monkeypatch.setattr("secrets.randbelow", lambda _: next(coefficients))
    shares = split((7).to_bytes(32), threshold=3, shares=3)
    assert [int.from_bytes(share) for share in shares] == [12, 21, 34]
    assert int.from_bytes(combine(dict(enumerate(shares, start=1)))) == 7
    assert [int.from_bytes(share_at(point, dict(enumerate(shares, start=1)))) for point in (2, 4)] == [21, 51]


def test_the_field_is_one() -> None:
    """2^521 − 1 is prime by Lucas and Lehmer's test."""
    residue = 4
    for _ in range(521 - 2):
        residue = (residue * residue - 2) % PRIME
    assert residue == 0


def test_what_is_no_share_is_refused() -> None:
    for wrong in ({}, {0: bytes(SHARE_BYTES)}, {1: bytes(3)}, {1: b"\xff" * SHARE_BYTES}):
        with pytest.raises(UnmaskingFailed):
            combine(wrong)
    with pytest.raises(ValueError, match="bytes"):
        split(b"short", threshold=2, shares=3)


# Keys and masks -----------------------------------------------------------------------------------------------------


def test_two_agree_on_a_key_that_depends_on_what_it_is_for() -> None:
    one, two = SecretKeys.new(), SecretKeys.new()
    about = SESSION.bound("mask", "aurora", "boreal")
    key = agreed(one.mask, public_of(two.mask), about=about)
    assert key == agreed(two.mask, public_of(one.mask), about=about)
    assert key != agreed(
        one.mask, public_of(two.mask), about=replace(SESSION, attempt=2).bound("mask", "aurora", "boreal")
    )
    with pytest.raises(MaskingRefused, match="low order"):
        agreed(one.mask, bytes(32), about=about)


def test_sessions_and_parts_never_run_into_each_other() -> None:
    texts = {Session(*s).bound(*p) for s, p in [
        (("r", 1, 11), ("a", "b")), (("r", 11, 1), ("a", "b")), (("r1", 1, 1), ("a", "b")),
        (("r", 1, 1), ("ab",)), (("r", 1, 1), ("a", "b")), (("r", 1, 1), ("", "ab")),
    ]}  # fmt: skip
    assert len(texts) == 6


def test_a_mask_is_the_keystream_of_aes_and_comes_off() -> None:
    # NIST SP 800-38A's key under a counter of zeros: its first block is AES-256 of sixteen zeros.
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    lanes = np.zeros(2 * BLOCK + 5, np.uint32)
    add_mask(lanes, key)
    assert lanes[:4].astype("<u4").tobytes().hex() == "e568f68194cf76d6174d4cc04310a854"
    assert len(np.unique(lanes[:BLOCK])) > 0.99 * BLOCK
    subtract_mask(lanes, key)
    assert not lanes.any()


def test_secrets_are_not_shown() -> None:
    them, _ = Participant.begin("aurora", SESSION)
    assert them.secret is not None
    assert them.secret.seed.hex() not in repr(them)
    assert repr(them.secret) in ("SecretKeys(…)",)
    assert "\\x" not in repr(them)


# The grid -----------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), power=st.floats(-6, 5), bound=st.floats(-6, 4), count=st.integers(3, MOST))
def test_what_is_on_the_grid_is_no_longer_than_the_bound(seed: int, power: float, bound: float, count: int) -> None:
    grid = SumGrid(10.0**bound, count)
    lanes = grid.encode(drawn(seed, 10.0**power))
    length = float(np.linalg.norm(lanes.view(np.int32).astype(np.float64))) * grid.step
    assert length <= grid.bound
    assert length <= grid.longest(1, lanes.size)


@pytest.mark.parametrize(("count", "error"), [(5, 2e-9), (MOST, 6e-7)])
def test_rounding_errs_by_less_than_a_millionth_of_the_bound(count: int, error: float) -> None:
    grid, like = SumGrid(1.0, count), drawn(0)
    plain, total = np.zeros(flat(like).size), np.zeros(flat(like).size, np.uint32)
    for number in range(count):
        update = clip(drawn(number), 0.9)
        plain += flat(update)
        total += grid.encode(update)
    # In double precision: to float32 rounds in units of the sum.
    assert rms(total.view(np.int32) * grid.step - plain) < error


def test_largest_sum_does_not_wrap() -> None:
    spike: Tensors = {"x": np.array([1.0, 0.0], np.float32)}
    for sign in (1.0, -1.0):
        grid = SumGrid(2.0, MOST)
        one = grid.encode({"x": np.asarray(100 * sign * spike["x"])})
        total = np.zeros(2, np.uint32)
        for _ in range(MOST):
            total += one
        assert grid.decode(total, like=spike)["x"][0] == pytest.approx(sign * 2.0 * MOST, rel=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_never_gets_onto_the_grid(value: float) -> None:
    poisoned = drawn(0)
    poisoned["bias"][3] = value
    with pytest.raises(ShapeError, match="bias"):
        SumGrid(1.0, 5).encode(poisoned)


# The sum ------------------------------------------------------------------------------------------------------------


def left(gone: Mapping[str, str], stage: str) -> int:
    return sum(name not in gone or STAGES.index(gone[name]) > STAGES.index(stage) for name in NAMES)


@pytest.mark.parametrize("gone", DROPOUTS, ids=str)
def test_masked_sum_equals_the_plain_sum_of_the_clipped_updates(gone: dict[str, str]) -> None:
    """With 0, 1 and 2 of 5 gone, at every stage: three are always left, and three are enough."""
    played = play(UPDATES, gone)
    assert len(played.survivors) == left(gone, "mask")
    plain = sum(flat(clip(UPDATES[name], 1.0 - 1e-5)) for name in played.survivors)
    found = flat(played.grid.decode(played.total, like=UPDATES["aurora"]))
    assert rms(found - plain) < 1e-6
    assert rms(played.total.view(np.int32) * played.grid.step - plain) < 2e-8
    # And of what was rounded, it is the sum to the last bit.
    exact = sum((played.terms[name] for name in played.survivors), np.zeros_like(played.total))
    np.testing.assert_array_equal(played.total, exact)


@pytest.mark.parametrize("stage", STAGES)
def test_three_of_five_gone_leave_nothing_but_masks(stage: str) -> None:
    with pytest.raises(UnmaskingFailed, match="3 are needed"):
        play(UPDATES, dict.fromkeys(NAMES[:3], stage))


def test_what_is_relayed_tells_nothing_of_a_term() -> None:
    """Bytes are uniform by chi squared, and neither equal to nor correlated with a term or its tensors."""
    played = play(UPDATES, {"boreal": "mask"})
    for name, masked in played.masked.items():
        counts = np.bincount(masked.view(np.uint8), minlength=256)
        expected = masked.nbytes / 256
        # 255 degrees of freedom: 382 is exceeded by chance once in a million.
        assert np.square(counts - expected).sum() / expected < 382
        for term in played.terms.values():
            assert (masked == term).mean() < 1e-3
            correlation = np.corrcoef(masked.view(np.int32).astype(float), term.view(np.int32).astype(float))[0, 1]
            assert abs(correlation) < 5 / math.sqrt(masked.size), name


def test_masks_of_two_attempts_have_nothing_in_common() -> None:
    first, second = play(UPDATES), play(UPDATES)
    np.testing.assert_array_equal(first.total, second.total)
    for name in NAMES:
        assert (first.masked[name] == second.masked[name]).mean() < 1e-3


# What a participant refuses -----------------------------------------------------------------------------------------


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


# What the coordinator notices ---------------------------------------------------------------------------------------


def masked_zeros(
    survivors: tuple[str, ...], *, names: tuple[str, ...] = NAMES
) -> tuple[Unmasking, np.ndarray, dict[str, Revealed]]:
    """A sum of zeros, under the masks of the survivors; the others have shared, and dropped out."""
    them, keys, sealed = shared(names)
    dropped, total, done = tuple(name for name in names if name not in survivors), np.zeros(50, np.uint32), {}
    for name in survivors:
        term = np.zeros(50, np.uint32)
        done[name] = accepted(them[name], sealed).mask(term)
        total += term
    unmasking = Unmasking(SESSION, keys, survivors, dropped, threshold_of(len(names)))
    return unmasking, total, {name: done[name].reveal(survivors, dropped) for name in survivors}


def lying(told: Revealed, *owners: str, with_: bytes = b"\1" * SHARE_BYTES) -> Revealed:
    """With garbage in place of the shares of these."""
    seeds, masks = ({n: with_ if n in owners else s for n, s in part.items()} for part in (told.seeds, told.masks))
    return Revealed(seeds, masks)


@pytest.mark.parametrize("liar", NAMES[:3])
@pytest.mark.parametrize("owner", ["boreal", "espiga"])
def test_where_none_are_to_spare_a_wrong_share_is_noticed_and_nobody_is_blamed_for_it(liar: str, owner: str) -> None:
    """It is of a seed, or of the key of one that dropped out."""
    unmasking, total, revealed = masked_zeros(NAMES[:4])
    del revealed["duna"]
    before = total.copy()
    with pytest.raises(UnmaskingFailed, match=f"by one of aurora, boreal, cobre, or sealed by {owner}"):
        unmasking.of(total, {**revealed, liar: lying(revealed[liar], owner)})
    with pytest.raises(UnmaskingFailed, match="2 participants helped to unmask; 3 are needed"):
        unmasking.of(total, {name: revealed[name] for name in NAMES[:2]})
    np.testing.assert_array_equal(total, before)
    assert unmasking.of(total, revealed) == {}
    assert not total.any()


@pytest.mark.parametrize("liar", NAMES[:4])
@pytest.mark.parametrize("owners", [("boreal",), ("espiga",), NAMES], ids=str)
@pytest.mark.parametrize("share", [b"\1" * SHARE_BYTES, b"\xff" * SHARE_BYTES, b"short", b""], ids=len)
def test_one_that_reveals_garbage_neither_stops_the_round_nor_gets_another_blamed(
    liar: str, owners: tuple[str, ...], share: bytes
) -> None:
    unmasking, total, revealed = masked_zeros(NAMES[:4])
    found = unmasking.of(total, {**revealed, liar: lying(revealed[liar], *owners, with_=share)})
    assert not total.any()
    # duna is asked when one of the first three is not believed, and not before; who was not is asked last from then on.
    assert found == ({} if liar == "duna" else {liar: [owners[0]]})


def test_owner_that_seals_garbage_for_one_stops_no_round_and_nobody_is_believed_less_of_others() -> None:
    """aurora has garbage of cobre's, boreal of duna's; were both left out of everything, too few would be left."""
    unmasking, total, revealed = masked_zeros(NAMES[:4])
    given = {"aurora": lying(revealed["aurora"], "cobre"), "boreal": lying(revealed["boreal"], "duna")}
    assert unmasking.of(total, {**revealed, **given}) == {"aurora": ["cobre"], "boreal": ["duna"]}
    assert not total.any()


def test_two_that_lie_of_the_same_secret_stop_the_round_where_one_is_to_spare_and_not_where_two_are() -> None:
    unmasking, total, revealed = masked_zeros(NAMES[:4])
    lies = {name: lying(revealed[name], "cobre") for name in ("aurora", "boreal")}
    with pytest.raises(UnmaskingFailed, match="by one of aurora, boreal, cobre, duna, or sealed by cobre"):
        unmasking.of(total, {**revealed, **lies})
    unmasking, total, revealed = masked_zeros(NAMES)
    lies = {name: lying(revealed[name], "cobre") for name in ("aurora", "boreal")}
    assert unmasking.of(total, {**revealed, **lies}) == {"aurora": ["cobre"], "boreal": ["cobre"]}
    assert not total.any()


# With noise ---------------------------------------------------------------------------------------------------------


PRIVATE = tiny_config(mode="confidential", privacy="client-level", clip_norm=0.5, noise_multiplier=2.0)


def test_noise_of_all_but_one_survivor_is_as_wide_as_declared() -> None:
    """Each client knows its own noise; of the fewest that a sum may have, the others' is left."""
    threshold = threshold_of(5)
    each = noise_of_each(PRIVATE, terms=threshold)
    assert each * math.sqrt(threshold - 1) == pytest.approx(2.0 * 0.5)
    still = {name: {k: np.zeros(shape, np.float32) for k, shape in SHAPES.items()} for name in NAMES}
    for gone in ({}, {"aurora": "mask", "duna": "mask"}):
        played = play(still, gone, bound=0.5, noise_std=each)
        found = played.total.view(np.int32) * played.grid.step
        assert found.std() == pytest.approx(each * math.sqrt(len(played.survivors)), rel=0.04)
        assert found.mean() == pytest.approx(0, abs=5 * found.std() / math.sqrt(found.size))
        assert np.linalg.norm(found) <= played.grid.longest(len(played.survivors), found.size)


def test_noise_is_many_steps_wide_and_never_wraps() -> None:
    for noise, count in itertools.product((0.1, 1.0, 100.0), (3, 64, MOST)):
        grid = SumGrid.of(replace(PRIVATE, noise_multiplier=noise), participants=count, threshold=threshold_of(count))
        assert grid.noise_std / grid.step > 2**15
        assert count * grid.bound + 12 * grid.noise_std * math.sqrt(count) <= 2**31 * grid.step * (1 + 1e-12)


def test_no_noise_where_the_run_is_not_private() -> None:
    grid = SumGrid.of(tiny_config(mode="confidential", clip_norm=0.5), participants=5, threshold=3)
    assert (grid.bound, grid.noise_std) == (0.5, 0.0)


def test_noise_is_added_to_an_update_that_is_on_the_grid_and_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What noise covers is a shift by whole steps, no longer than the clip norm: the sensitivity is that bound."""
    grid = SumGrid.of(PRIVATE, participants=5, threshold=3)
    ones = np.ones(flat(drawn(3)).size, np.int64)
    monkeypatch.setattr("federation.masking.grid.rounded_noise", lambda size, std: ones)
    whole = grid.encode(drawn(3)).view(np.int32).astype(np.float64) - ones
    assert 0.4999 < np.linalg.norm(whole) * grid.step <= 0.5


ROBUST = ("krum", "multikrum", "bulyan", "fedmedian", "fedtrimmedavg", "fedcosine", "fednova")
REFUSED = [*({"strategy": name} for name in ROBUST), {"encoding": "int8"}, {"encoding": "fp16"}, {"mode": "secret"}]


@pytest.mark.parametrize("changes", REFUSED, ids=str)
def test_what_needs_to_see_an_update_is_refused(changes: dict[str, str]) -> None:
    (name, value) = next(iter(changes.items()))
    with pytest.raises(FederationConfigError, match=f"{name} is '{value}'"):
        FederationConfig(**{"preset": "tiny", "mode": "confidential", **changes})  # type: ignore[arg-type]


def test_confidential_run_needs_three_updates_that_count_alike() -> None:
    config = FederationConfig(preset="tiny", mode="confidential", strategy="fedadam", encoding_down="fp16")
    assert (config.clients_needed, config.replies_needed(4), config.update_bound) == (3, 3, 1.0)
    assert config.counts_alike
    assert not config.is_private
