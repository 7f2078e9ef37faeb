"""Plots of partitions and baselines."""

from __future__ import annotations

import io

import pytest
from matplotlib.patches import Rectangle
from PIL import Image

from catalog.census import Census
from core.names import client_names
from server.plots import baseline_plots, partition_plot
from server.plots.contenders import draw_contenders, draw_gains
from server.plots.partition import draw_partition
from tests.unit.server.results import baselines_result, texts


def height(png: bytes) -> int:
    """Of a picture that can be read."""
    with Image.open(io.BytesIO(png)) as picture:
        picture.load()
        return picture.height


def counts(clients: int, values: int) -> dict[str, dict[str, int]]:
    """The first client holds one product of the first value, and so on."""
    return {
        name: {f"value {j}": (i + 1) * (j + 1) for j in range(values)} for i, name in enumerate(client_names(clients))
    }


@pytest.mark.parametrize("clients", [1, 3, 10, 100])
def test_a_partition_of_any_size_is_a_readable_picture(clients: int) -> None:
    data = partition_plot(Census("season", "iid", 0, counts(clients, 20)))
    # At least 20 pixels for each client's bar and name.
    assert max(250, 20 * clients) <= height(data) <= 2500


def test_a_partition_says_its_spec_its_seed_and_what_each_client_holds() -> None:
    census = {"aurora": {"Men": 1000, "Women": 500}, "boreal": {"Women": 7}, "cobre": {}}
    said = texts(draw_partition(census, by="gender", partition="dirichlet(0.1, gender)", seed=7))
    assert "Partition dirichlet(0.1, gender): 1,507 products over 3 clients" in said
    assert "train split by gender · seed 7" in said
    assert {"aurora", "boreal", "cobre", "Men", "Women"} <= set(said)
    assert {"1,500 · 67% Men", "7 · 100% Women", "0"} <= {text.strip() for text in said}


def test_beyond_the_twelve_largest_values_come_the_others_together() -> None:
    said = texts(draw_partition(counts(3, 15), by="article_type", partition="iid", seed=0))
    assert "3 other values" in said
    assert {f"value {j}" for j in range(3, 15)} <= set(said)
    assert "value 2" not in said


def test_bars_add_up_to_what_each_client_holds() -> None:
    figure = draw_partition(counts(3, 15), by="article_type", partition="iid", seed=0)
    bars = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert len(bars) == 13 * 3
    # Layer by layer, the clients within.
    assert [sum(bar.get_width() for bar in bars[i::3]) for i in range(3)] == [120, 240, 360]


def test_a_value_that_is_called_as_the_others_are_stays_itself() -> None:
    census = {"aurora": {"other": 50, "$": 3} | {f"value {j}": 10 for j in range(14)}}
    said = texts(draw_partition(census, by="usage", partition="iid", seed=0))
    assert {"other", "4 other values"} <= set(said)


@pytest.mark.parametrize("clients", [1, 10, 100])
def test_baselines_become_pictures(clients: int) -> None:
    plots = baseline_plots(baselines_result(clients))
    assert set(plots) == {"contenders.png", "gains.png"}
    assert all(height(data) >= 250 for data in plots.values())


def test_baselines_of_a_catalogue_without_held_out_titles_of_clients_have_no_gains() -> None:
    assert set(baseline_plots(baselines_result() | {"clients": []})) == {"contenders.png"}


def test_contenders_stand_by_recall_with_their_intervals() -> None:
    figure = draw_contenders(baselines_result())
    said = texts(figure)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["centralised", "federated", "aurora", "boreal", "cobre", "zero shot"]
    assert "0.050   +0.070 [+0.050, +0.090]" in said
    assert "on test, gallery of 12,000 products, 1,180 titles" in said


def test_gains_stand_by_size_and_a_loss_is_last() -> None:
    figure = draw_gains(baselines_result())
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["boreal", "cobre", "aurora"]
    assert "-0.020 [-0.040, +0.010]   10" in texts(figure)
