"""What participants of a masked sum agree on, and the masks that come of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from federation.errors import MaskingRefused
from federation.masking.keys import SecretKeys, agreed, public_of
from federation.masking.masks import BLOCK, add_mask, subtract_mask
from federation.masking.participant import Participant
from federation.masking.session import Session
from tests.unit.federation.masking import (
    SESSION,
)


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
