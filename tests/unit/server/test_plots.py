"""Plots of runs: what they say, and that every run can be drawn."""

from __future__ import annotations

import io
import math
import re
from typing import Any

import pytest
from PIL import Image

from server.plots import run_plots
from server.plots.norms import draw_norms, rejected_rounds
from server.plots.recall import draw_recall
from server.plots.traffic import draw_traffic
from tests.unit.server.results import run_result, texts

FILES = {"recall.png", "bytes.png", "norms.png"}


@pytest.mark.parametrize("clients", [1, 3, 100])
@pytest.mark.parametrize("rounds", [1, 2, 30])
def test_every_run_becomes_pictures(clients: int, rounds: int) -> None:
    plots = run_plots(run_result(clients, rounds))
    assert set(plots) == FILES
    for data in plots.values():
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert picture.width >= 1000
            assert 500 <= picture.height <= 1200


def test_the_same_result_gives_the_same_bytes() -> None:
    assert run_plots(run_result()) == run_plots(run_result())


def test_a_run_from_before_a_field_was_kept_is_drawn_without_it() -> None:
    old = run_result()
    for entry in old["rounds"]:
        for key in ("norms", "recall_by_client", "rejections", "asked", "attempts"):
            del entry[key]
    for key in ("zero_shot_val", "whole_model_parameters", "trainable_parameters", "chosen_round"):
        del old[key]
    assert set(run_plots(old)) == {"recall.png", "bytes.png"}
    assert "zero shot on test 0.040" in texts(draw_recall(old))
    assert run_plots({}) == {}


def test_a_run_of_which_nothing_is_a_number_is_drawn_too() -> None:
    result = run_result()
    for entry in result["rounds"]:
        entry |= {"recall_at_10": math.nan, "recall_by_client": {"aurora": math.nan}, "norms": {"aurora": math.nan}}
    assert set(run_plots(result)) == FILES
    assert set(run_plots(run_result(zero_shot_val={"recall_at_10": math.nan, "recall_by_client": {}}))) == FILES


def test_a_name_with_a_dollar_is_no_formula() -> None:
    result = run_result()
    for entry in result["rounds"]:
        entry |= {"norms": {"a$b_$": 1.0}, "recall_by_client": {"a$b_$": 0.1}, "rejections": ["$c_$: Too long."]}
    assert set(run_plots(result)) == FILES


def test_recall_names_each_client_the_whole_and_the_gallery() -> None:
    said = texts(draw_recall(run_result()))
    assert "Recall@10 by round, gallery of 12,000 products" in said
    assert {"all titles 0.080", "zero shot 0.050", "aurora 0.050", "boreal 0.053", "cobre 0.056", "chosen"} <= set(said)


def test_of_many_clients_the_outermost_are_named() -> None:
    said = texts(draw_recall(run_result(30)))
    named = [text for text in said if re.fullmatch(r"(aurora|boreal|cobre|client-\d+) 0\.\d+", text)]
    assert len(named) == 6
    assert any("3 highest and 3 lowest of 30 clients" in text for text in said)


def test_bytes_are_held_against_the_whole_model_sent_as_often() -> None:
    said = texts(draw_traffic(run_result()))
    assert {"up 36 kB", "down 36 kB", "together 72 kB"} <= set(said)
    # 3 rounds of 3 clients, both ways: 18 messages of 400 kB.
    assert "fp32 FedAvg over\nthe whole model 7.2 MB" in said
    assert any("1.00% of what fp32 FedAvg over all 0.1 M would send" in text for text in said)


def test_norms_mark_who_was_rejected() -> None:
    said = texts(draw_norms(run_result()))
    assert {"× rejected", "cobre", "aurora 1", "boreal 2"} <= set(said)
    spotless = run_result() | {"rounds": run_result()["rounds"][:2]}
    assert "× rejected" not in texts(draw_norms(spotless))


def test_a_rejection_of_an_earlier_attempt_belongs_to_its_client() -> None:
    rounds: list[dict[str, Any]] = [
        {"round": 1, "rejections": ["boreal: Its norm is 3: too long.", "attempt 1: boreal: Late.", "duna: No."]},
        {"round": 2},
        {"round": 3, "rejections": ["attempt 2: duna: No."]},
    ]
    assert rejected_rounds(rounds) == {"boreal": [1], "duna": [1, 3]}


def test_many_rejected_clients_share_the_last_row() -> None:
    rounds = [entry | {"rejections": [f"client-{i}: No." for i in range(40)]} for entry in run_result()["rounds"]]
    assert "29 others" in texts(draw_norms(run_result() | {"rounds": rounds}))
