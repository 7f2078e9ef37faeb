"""A wave: who is asked, what is believed of the answers, and when it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Set
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict

from catalog.objects import DirectoryStore
from catalog.published import Offer
from clients.contracts import Contracts
from security.contracts import SignedContract
from server.checkpoints import RunFolder
from server.contracts import RunContract, kept_contracts, publishing_contract, signed_settings
from server.exchange import PUBLISHING, Mailbox
from server.publishing import Wave
from server.wave_folder import Order, WaveFolder
from tests.unit.server.federation import crashing, silent, told
from tests.unit.server.grid import Answer, FakeGrid

DIMENSION = 8
ORDER = Order(
    spec="{}", model_version="2", model_hash="h" * 64, base_hash="b" * 64, dimension=DIMENSION,
    page_size=4, page_s=0.3, wait_s=0.1, deadline_s=20.0, attempts=2,
)  # fmt: skip
NAMES = {1: "aurora", 2: "boreal", 3: "cobre"}


def offer(number: int, **changes: Any) -> dict[str, Any]:
    known = Offer(
        number, "jpg", "Men", None, None, "Shirts", None, None, None, 2020, f"Shirt {number}", f"{number:064x}"
    )
    return asdict(known) | changes


def unit(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
    vectors = np.random.default_rng(0).normal(size=(count, DIMENSION))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float16)


def page(message: Message, listed: list[Any], vectors: Any = None, /, **changes: Any) -> Message:
    """A reply; ``changes`` replace what an honest client would say."""
    values = {
        "products": json.dumps(listed), "published": len(listed), "is-last": True, "revision": "r1",
        "model-hash": told(message)["model-hash"], "page": told(message)["page"],
    }  # fmt: skip
    arrays = ArrayRecord({"vectors": Array(unit(len(listed)) if vectors is None else np.asarray(vectors))})
    return Message(RecordDict({"page": ConfigRecord(values | changes), "arrays": arrays}), reply_to=message)


def publishing(count: int) -> Answer:
    """The node of an honest client with so many products."""

    def answer(message: Message) -> Message:
        first, size = told(message)["page"] * told(message)["page-size"], told(message)["page-size"]
        products = [offer(number) for number in range(count)][first : first + size]
        return page(message, products, published=count, **{"is-last": first + size >= count})

    return answer


def refusing(code: str) -> Answer:
    refusal = ConfigRecord({"code": code, "message": "No.", "hint": ""})
    return lambda message: Message(RecordDict({"refusal": refusal}), reply_to=message)


def signing(answer: Answer, signed: SignedContract, folder: Path, name: str) -> Answer:
    """The node of a client whose guard signs the wave's contract."""

    def answered(message: Message) -> Message:
        reply = answer(message)
        assert reply is not None
        reply.content["contract"] = ConfigRecord(dict(Contracts(folder, name).sign(signed)))
        return reply

    return answered


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[dict[str, Any], WaveFolder, FakeGrid]]:
    def start(
        *answers: Answer,
        order: Order = ORDER,
        names: dict[int, str] | None = None,
        contract: RunContract | None = None,
        removed: Callable[[], Set[str]] = frozenset,
    ) -> Any:
        store = DirectoryStore(tmp_path)
        folder = WaveFolder(store, "wave-1")
        folder.begin(order, {"w": np.zeros(2, np.float32)})
        grid = FakeGrid(dict(enumerate(answers, start=1)), NAMES if names is None else names)
        wave = Wave(Mailbox(grid, removed=removed), folder, folder.order(), RunFolder(store, "wave-1"), contract)
        return wave.run()["clients"], folder, grid

    return start


def test_who_was_removed_is_asked_for_nothing(
    run: Callable[..., tuple[dict[str, Any], WaveFolder, FakeGrid]],
) -> None:
    clients, _, grid = run(publishing(3), publishing(3), removed=lambda: {"aurora"})
    assert {name: (asked["state"], asked["reason"]) for name, asked in clients.items()} == {
        "aurora": ("failed", "it was removed"), "boreal": ("complete", ""),
    }  # fmt: skip
    assert {message.metadata.dst_node_id for message in grid.pushed} == {2}


def test_who_has_not_signed_the_wave_s_contract_is_not_heard(
    run: Callable[..., tuple[dict[str, Any], WaveFolder, FakeGrid]], tmp_path: Path
) -> None:
    store = DirectoryStore(tmp_path)
    drawn = publishing_contract("wave-1", limit_s=60)("a" * 64, "")
    contract = RunContract.of(signed_settings(drawn, None), store, "wave-1")
    assert contract is not None
    clients, folder, _ = run(
        signing(publishing(5), contract.signed, tmp_path / "1", "aurora"),
        signing(publishing(5), contract.signed, tmp_path / "2", "cobre"),  # as another's
        publishing(5),
        contract=contract,
    )
    assert {name: asked["state"] for name, asked in clients.items()} == {
        "aurora": "complete", "boreal": "failed", "cobre": "failed",
    }  # fmt: skip
    assert clients["cobre"]["reason"] == "it has not signed the run's contract"
    assert clients["cobre"]["pages"] == 0
    folder.remove()
    (kept,) = kept_contracts(store, "wave-1")
    assert kept["clients"] == {"aurora": True}
    assert kept["contract"]["run"] == "wave-1"


def test_every_client_is_asked_page_by_page_to_its_end(run: Any) -> None:
    found, folder, grid = run(publishing(10), publishing(3), refusing("clients.not_publishing"))
    assert {name: (a["state"], a["pages"], a["products"]) for name, a in found.items()} == {
        "aurora": ("complete", 3, 10), "boreal": ("complete", 1, 3), "cobre": ("silent", 0, 0),
    }  # fmt: skip
    assert grid.sent(PUBLISHING) == [1, 2, 3, 1, 1]
    sent = list(folder.pages("aurora", 3))
    assert [o.reference for page in sent for o in page.offers] == list(range(10))
    np.testing.assert_array_equal(sent[0].vectors, unit(4))


def test_one_that_withdraws_says_so(run: Any) -> None:
    assert run(refusing("clients.publication_withdrawn"))[0]["aurora"]["state"] == "withdrawn"


def test_a_node_without_a_registered_name_is_never_asked(run: Any) -> None:
    found, _, grid = run(publishing(3), publishing(3), names={1: "aurora"})
    assert (list(found), grid.sent(PUBLISHING)) == (["aurora"], [1])


@pytest.mark.parametrize("answer", [crashing, silent, refusing("clients.base_mismatch")])
def test_a_client_that_fails_is_asked_again_and_costs_nobody_else_anything(run: Any, answer: Answer) -> None:
    found, _, grid = run(answer, publishing(3))
    assert (found["aurora"]["state"], found["boreal"]["state"]) == ("failed", "complete")
    assert found["aurora"]["reason"]
    assert grid.sent(PUBLISHING).count(1) == ORDER.attempts


def test_a_client_that_recovers_is_heard_to_its_end(run: Any) -> None:
    answers: Iterator[Answer] = iter([crashing, publishing(6), crashing, publishing(6)])
    found, _, _ = run(lambda message: next(answers)(message))
    assert (found["aurora"]["state"], found["aurora"]["products"]) == ("complete", 6)


def test_one_that_is_awaited_and_does_not_come_is_named(run: Any) -> None:
    found, _, _ = run(publishing(3), order=replace(ORDER, expected=("aurora", "cobre")))
    assert (found["cobre"]["state"], found["cobre"]["reason"]) == ("asked", "it was not online")


def test_one_that_decides_anew_in_between_is_heard_from_the_beginning(run: Any) -> None:
    asked: list[int] = []

    def answer(message: Message) -> Message:
        number = told(message)["page"]
        asked.append(number)
        revision = "old" if asked == [0] else "new"
        return page(message, [offer(number)], revision=revision, **{"is-last": number == 1})

    found, _, _ = run(answer)
    assert asked == [0, 1, 0, 1]
    assert (found["aurora"]["state"], found["aurora"]["products"]) == ("complete", 2)


def test_one_that_changes_all_the_time_is_given_up(run: Any) -> None:
    count = iter(range(1000))
    found, _, _ = run(lambda m: page(m, [offer(1)], revision=str(next(count)), **{"is-last": False}))
    assert (found["aurora"]["state"], found["aurora"]["reason"]) == ("failed", "what it publishes changes all the time")


def test_a_wave_ends_with_its_deadline_though_a_client_has_no_end(run: Any) -> None:
    found, _, _ = run(
        lambda m: page(m, [offer(told(m)["page"])], **{"is-last": False}), order=replace(ORDER, deadline_s=0.5)
    )
    assert found["aurora"]["state"] == "asked"
    assert found["aurora"]["pages"] > 0


HOSTILE: dict[str, Callable[[Message], Message]] = {
    "not a number": lambda m: page(m, [offer(1)], np.full((1, DIMENSION), np.nan, np.float16)),
    "not of length one": lambda m: page(m, [offer(1)], 3 * unit(1)),
    "zero": lambda m: page(m, [offer(1)], np.zeros((1, DIMENSION), np.float16)),
    "of another dimension": lambda m: page(m, [offer(1)], np.eye(1, 9, dtype=np.float16)),
    "more vectors than products": lambda m: page(m, [offer(1)], unit(2)),
    "of another type": lambda m: page(m, [offer(1)], unit(1).astype(np.float64)),
    "more products than asked for": lambda m: page(m, [offer(n) for n in range(5)]),
    "one product twice": lambda m: page(m, [offer(1), offer(1)]),
    "no list": lambda m: page(m, [offer(1)], products='{"a": 1}'),
    "no JSON": lambda m: page(m, [offer(1)], products="["),
    "deeply nested": lambda m: page(m, [offer(1)], products="[" * 20_000),
    "absurdly long": lambda m: page(m, [offer(1)], products=" " * 100_000),
    "another model": lambda m: page(m, [offer(1)], **{"model-hash": "x"}),
    "another page": lambda m: page(m, [offer(1)], page=7),
    "a claimed owner": lambda m: page(m, [offer(1, owner="boreal")]),
    "a claimed row": lambda m: page(m, [offer(1, id=5)]),
    "a number beyond all": lambda m: page(m, [offer(2**63)]),
    "a negative number": lambda m: page(m, [offer(-1)]),
    "a true number": lambda m: page(m, [offer(1, reference=True)]),
    "an over-long text": lambda m: page(m, [offer(1, product_display_name="x" * 501)]),
    "no title": lambda m: page(m, [offer(1, product_display_name="")]),
    "a null character": lambda m: page(m, [offer(1, usage="a\0b")]),
    "a line break": lambda m: page(m, [offer(1, brand="x", usage="a\nb")]),
    "a path for a suffix": lambda m: page(m, [offer(1, suffix="jpg/../../x")]),
    "a year as text": lambda m: page(m, [offer(1, year="2020")]),
    "no hash": lambda m: page(m, [offer(1, image_sha256="zz")]),
    "nothing": lambda m: Message(RecordDict({}), reply_to=m),
    "no end": lambda m: page(m, [offer(1)], **{"is-last": "no"}),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_reply_that_no_honest_client_sends_is_refused_whole(run: Any, attack: str) -> None:
    found, folder, _ = run(HOSTILE[attack], publishing(2))
    assert found["aurora"]["state"] in ("refused", "failed")
    assert found["aurora"]["products"] == 0
    assert found["boreal"]["state"] == "complete"
    assert not [key for key in folder._store.list("wave-1/pages/") if "aurora" in key]
