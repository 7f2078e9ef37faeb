"""The chain of the audit log: whatever is done to it, it shows."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from catalog.audit_log import BEGINNING, Link, verified


def chain(length: int, *, text: str = "x") -> list[Link]:
    links: list[Link] = []
    for seq in range(1, length + 1):
        previous = links[-1].sha256 if links else BEGINNING
        entry = json.dumps({"seq": seq, "kind": "login", "details": {"text": text}})
        links.append(Link(seq, entry, previous, hashlib.sha256(previous + entry.encode()).digest()))
    return links


def test_a_chain_that_nobody_touched_holds_and_has_a_head() -> None:
    links = chain(5)
    found = verified(links)
    assert (found.entries, found.head, found.broken_at, found.holds) == (5, links[-1].sha256.hex(), None, True)
    assert (verified([]).entries, verified([]).head, verified([]).holds) == (0, BEGINNING.hex(), True)


@pytest.mark.parametrize("at", range(5))
def test_every_changed_byte_shows_where_it_is(at: int) -> None:
    links = chain(5)
    for entry in (links[at].entry.replace("login", "logon"), links[at].entry + " ", "not JSON"):
        found = verified([*links[:at], replace(links[at], entry=entry), *links[at + 1 :]])
        assert (found.broken_at, found.holds) == (at + 1, False)
    for name in ("previous", "sha256"):
        changed = bytes([getattr(links[at], name)[0] ^ 1]) + getattr(links[at], name)[1:]
        changes = {"previous": links[at].previous, "sha256": links[at].sha256, name: changed}
        broken = Link(links[at].seq, links[at].entry, changes["previous"], changes["sha256"])
        found = verified([*links[:at], broken, *links[at + 1 :]])
        assert (found.broken_at, found.holds) == (at + 1, False)


@pytest.mark.parametrize("at", range(4))
def test_what_is_taken_out_put_twice_or_exchanged_shows(at: int) -> None:
    links = chain(5)
    assert not verified([*links[:at], *links[at + 1 :]]).holds
    assert not verified([*links[: at + 1], links[at], *links[at + 1 :]]).holds
    assert not verified([*links[:at], links[at + 1], links[at], *links[at + 2 :]]).holds


def test_an_entry_with_a_hash_made_anew_breaks_the_one_behind_it() -> None:
    links = chain(3)
    entry = links[1].entry.replace("login", "logon")
    forged = Link(2, entry, links[1].previous, hashlib.sha256(links[1].previous + entry.encode()).digest())
    assert verified([links[0], forged, links[2]]).broken_at == 3


def test_a_chain_that_was_cut_off_or_made_anew_does_not_know_a_head_that_was_noted_down() -> None:
    links = chain(5)
    head = links[3].sha256.hex()
    assert verified(links, head.upper()).holds
    assert verified(links[:4], head).holds
    for other in (links[:3], chain(5, text="y")):
        found = verified(other, head)
        assert (found.broken_at, found.knows_head, found.holds) == (None, False, False)
