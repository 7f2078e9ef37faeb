"""Splits and partitions: no name on two sides, alike mixtures, the same for the same seed."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import EmptyPartition, PartitionInvalid
from catalog.partitions import Assignment, ByValue, Dirichlet, Iid, Partition, assign_clients, parse_partition
from catalog.splits import assign_splits, name_key

Products = list[tuple[str, str | None]]
CLIENTS = ["aurora", "boreal", "cobre"]


def catalogue(count: int = 2000, *, seed: int = 0) -> Products:
    """Products whose names repeat, of types whose sizes differ a lot."""
    generator = random.Random(seed)
    types = [f"type {n}" for n in range(20) for _ in range(20 - n)]
    names = [(f"Name {n}", generator.choice(types)) for n in range(int(count * 0.7))]
    return [generator.choice(names) for _ in range(count)]


def test_shares_are_80_10_10() -> None:
    counts = Counter(assign_splits(catalogue(), seed=0))
    assert counts["train"] == pytest.approx(1600, abs=10)
    assert counts["val"] == pytest.approx(200, abs=10)
    assert counts["test"] == pytest.approx(200, abs=10)


def test_every_type_of_some_size_is_on_all_sides_alike() -> None:
    products = catalogue()
    by_type: dict[str | None, Counter[str]] = defaultdict(Counter)
    for (_, article_type), split in zip(products, assign_splits(products, seed=0), strict=True):
        by_type[article_type][split] += 1
    for article_type, counts in by_type.items():
        if counts.total() >= 50:
            assert counts["train"] / counts.total() == pytest.approx(0.8, abs=0.2), article_type
            assert min(counts["val"], counts["test"]) >= 1


@given(
    st.lists(st.tuples(st.sampled_from(["A", "a ", "B  b", "b b", "C", "D", "E"]), st.sampled_from(["x", "y", None]))),
    st.integers(0, 5),
)
def test_no_name_is_on_two_sides(products: Products, seed: int) -> None:
    sides = defaultdict(set)
    for (name, _), split in zip(products, assign_splits(products, seed=seed), strict=True):
        sides[name_key(name)].add(split)
    assert all(len(splits) == 1 for splits in sides.values())


def test_the_seed_decides_and_the_order_does_not() -> None:
    products = sorted(set(catalogue()), key=str)
    splits = dict(zip(products, assign_splits(products, seed=1), strict=True))
    shuffled = random.Random(0).sample(products, len(products))
    assert dict(zip(shuffled, assign_splits(shuffled, seed=1), strict=True)) == splits
    assert dict(zip(products, assign_splits(products, seed=2), strict=True)) != splits


def test_ten_products_are_enough_for_three_splits() -> None:
    assert Counter(assign_splits(((f"n{n}", "t") for n in range(10)), seed=0)) == {"train": 8, "val": 1, "test": 1}


@pytest.mark.parametrize(
    ("spec", "partition"),
    [("iid", Iid()), (" iid ", Iid()), ("dirichlet(0.5, sub_category)", Dirichlet(0.5, "sub_category")),
     ("dirichlet(10,gender)", Dirichlet(10.0, "gender")),
     ("dirichlet(0.1; articleType)", Dirichlet(0.1, "article_type")),
     ("dirichlet(1, baseColour)", Dirichlet(1.0, "base_colour")), ("season", ByValue("season")),
     ("by gender", ByValue("gender"))],
)  # fmt: skip
def test_partition_specs_are_read(spec: str, partition: object) -> None:
    assert parse_partition(spec) == partition


@pytest.mark.parametrize(
    "spec",
    ["", "even", "dirichlet", "dirichlet(0.5)", "dirichlet(0, gender)", "dirichlet(-1, gender)", "dirichlet(1, price)",
     "dirichlet(e, gender)", "dirichlet(1e9, gender)", "year", "by usage"],
)  # fmt: skip
def test_other_partition_specs_are_refused_with_those_that_exist(spec: str) -> None:
    with pytest.raises(PartitionInvalid) as caught:
        parse_partition(spec)
    assert "dirichlet(alpha, by)" in caught.value.hint


@pytest.mark.parametrize("partition", [Iid(), Dirichlet(0.5, "article_type")])
def test_a_name_stays_with_one_client_and_the_seed_decides(partition: Iid | Dirichlet) -> None:
    products = catalogue()
    clients = assign_clients(products, partition, CLIENTS, seed=0)
    holders = defaultdict(set)
    for (name, _), client in zip(products, clients, strict=True):
        holders[name].add(client)
    assert all(len(held) == 1 for held in holders.values())
    assert clients == assign_clients(products, partition, CLIENTS, seed=0)
    assert clients != assign_clients(products, partition, CLIENTS, seed=1)


def test_iid_clients_hold_as_much_of_everything() -> None:
    products = catalogue()
    clients = assign_clients(products, Iid(), CLIENTS, seed=0)
    assert max(Counter(clients).values()) - min(Counter(clients).values()) <= 3
    largest = Counter(client for (_, label), client in zip(products, clients, strict=True) if label == "type 0")
    assert min(largest.values()) / max(largest.values()) > 0.6


def test_a_small_alpha_makes_specialists_and_a_large_one_does_not() -> None:
    products = catalogue()

    def specialisation(alpha: float) -> float:
        """Mean share that the largest holder has of a label."""
        by_label: dict[str | None, Counter[str]] = defaultdict(Counter)
        dealt = assign_clients(products, Dirichlet(alpha, "article_type"), CLIENTS, seed=0)
        for (_, label), client in zip(products, dealt, strict=True):
            by_label[label][client] += 1
        return sum(max(counts.values()) / counts.total() for counts in by_label.values()) / len(by_label)

    assert specialisation(0.1) > 0.75
    assert specialisation(100) < 0.45


def test_a_client_without_products_is_named() -> None:
    with pytest.raises(EmptyPartition, match=r"cobre would get no product \(2 products over 3 clients\)"):
        assign_clients([("a", None), ("b", None)], Iid(), CLIENTS, seed=0)
    with pytest.raises(EmptyPartition, match="would get no product"):
        assign_clients([("a", "x")] * 50, Dirichlet(0.5, "gender"), CLIENTS, seed=0)


@pytest.mark.parametrize("clients", [[], ["aurora", "aurora"]])
def test_no_clients_or_twice_the_same_are_refused(clients: list[str]) -> None:
    with pytest.raises(PartitionInvalid):
        assign_clients(catalogue(10), Iid(), clients, seed=0)


RULES = [Iid(), Dirichlet(0.5, "article_type"), ByValue("article_type")]


@pytest.mark.parametrize("partition", RULES)
def test_held_out_products_follow_the_rule_of_the_train_split(partition: Partition) -> None:
    products = catalogue()
    train, held_out = products[: len(products) * 3 // 4], products[len(products) * 3 // 4 :]
    assignment = Assignment(train, partition, CLIENTS, seed=0)
    owners = assignment.held_out(held_out)
    assert assignment.held_out(list(reversed(held_out))) == list(reversed(owners))
    for label in {label for _, label in held_out} if partition.by else ():
        shares = [
            Counter(client for (_, other), client in zip(split, clients, strict=True) if other == label)
            for split, clients in ((train, assignment.train), (held_out, owners))
        ]
        if shares[0].total() > 100 and shares[1].total() > 30:
            for client in CLIENTS:
                ours, theirs = (counts[client] / counts.total() for counts in shares)
                assert ours == pytest.approx(theirs, abs=0.2)
    if not partition.by:
        counts = Counter(owners)
        assert max(counts.values()) - min(counts.values()) <= 3


def test_whole_values_go_to_one_client_where_there_are_enough() -> None:
    products = [(f"n{n}", f"value {n % 5}") for n in range(500)]
    clients = assign_clients(products, ByValue("season"), ["a", "b"], seed=0)
    holders = defaultdict(set)
    for (_, label), client in zip(products, clients, strict=True):
        holders[label].add(client)
    assert all(len(held) == 1 for held in holders.values())
    assert set(Counter(clients).values()) == {200, 300}


def test_more_clients_than_values_share_the_largest_and_nobody_loses_products() -> None:
    products = [(f"n{n}", ("winter", "summer", None)[n % 3]) for n in range(600)]
    clients = assign_clients(products, ByValue("season"), ["a", "b", "c", "d"], seed=0)
    counts = Counter(clients)
    assert counts.total() == 600
    assert max(counts.values()) - min(counts.values()) <= 4
    unnamed = Counter(client for (_, label), client in zip(products, clients, strict=True) if label is None)
    assert set(unnamed.values()) == {50}
