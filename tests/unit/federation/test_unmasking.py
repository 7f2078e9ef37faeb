"""What who unmasks a sum notices, and whom it names for it."""

from __future__ import annotations

import numpy as np
import pytest

from federation.errors import UnmaskingFailed
from federation.masking.participant import Revealed
from federation.masking.session import threshold_of
from federation.masking.shamir import SHARE_BYTES
from federation.masking.unmasking import Unmasking
from tests.unit.federation.masking import (
    NAMES,
    SESSION,
    accepted,
    shared,
)


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
