"""Who holds what: products of each client by the values of one attribute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from server.plots.style import QUIET, SMALL_PT, Margins, name_axes, new_figure, new_panel, plural, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Counts = Mapping[str, Mapping[str, int]]
"""Client → value of the attribute → number of products."""

LARGEST = 12
COLOURS = (
    "#332288", "#88ccee", "#117733", "#ddcc77", "#882255", "#44aa99",
    "#cc6677", "#999933", "#aa4499", "#ee8866", "#0072b2", "#bbcc33",
)  # fmt: skip
"""Paul Tol's muted scheme and some of his light one; neighbours differ in lightness."""
REST_COLOUR = "#d9d9d9"
WIDTH_IN, LEFT_IN, RIGHT_IN, BOTTOM_IN = 11.0, 1.35, 2.5, 0.6
LEGEND_TOP_IN, LEGEND_ROW_IN, BOX_IN = 0.95, 0.24, 0.14
CHARACTER_IN = 0.078
"""Width of an average character at SMALL_PT."""
MAX_NAME = 24
MIN_ROWS, MANY = 3, 40


@dataclass(frozen=True)
class _Layer:
    """One colour of all bars."""

    name: str
    colour: str
    products: list[int]
    """Of each client."""


def draw_partition(census: Counts, *, by: str, partition: str, seed: int) -> Figure:
    """Stacked bars: the twelve values that most products have, and the rest; beside each bar its total.

    Args:
        census: in the order in which clients shall stand; at least one client.
        by: what the attribute is called.
        partition: the spec by which the products were spread.
        seed: of the spread.
    """
    layers = _layers(census)
    places, legend_rows = _legend_places([layer.name for layer in layers])
    row_in, size = (0.3, SMALL_PT) if len(census) <= MANY else (0.17, SMALL_PT - 1.5)
    top = LEGEND_TOP_IN + legend_rows * LEGEND_ROW_IN + 0.1
    height = top + max(MIN_ROWS, len(census)) * row_in + BOTTOM_IN
    products = sum(sum(held.values()) for held in census.values())
    title = f"Partition {partition}: {plural(products, 'product')} over {plural(len(census), 'client')}"
    figure = new_figure(title, f"train split by {by} · seed {seed}", width_in=WIDTH_IN, height_in=height)
    axes = new_panel(figure, Margins(LEFT_IN, RIGHT_IN, top, BOTTOM_IN))
    _draw_bars(axes, layers)
    _name_bars(axes, census, size=size)
    _draw_legend(figure, layers, places)
    return figure


def _layers(census: Counts) -> list[_Layer]:
    sizes = Counter[str]()
    for held in census.values():
        sizes.update(held)
    order = sorted(sizes, key=lambda value: (-sizes[value], value))
    layers = [
        _Layer(_short(value), colour, [held.get(value, 0) for held in census.values()])
        for value, colour in zip(order, COLOURS, strict=False)
    ]
    if rest := order[LARGEST:]:
        counts = [sum(held.get(value, 0) for value in rest) for held in census.values()]
        layers.append(_Layer(plural(len(rest), "other value"), REST_COLOUR, counts))
    return layers


def _draw_bars(axes: Axes, layers: Sequence[_Layer]) -> None:
    heights = range(len(layers[0].products)) if layers else range(0)
    feet = [0] * len(heights)
    for layer in layers:
        axes.barh(heights, layer.products, left=feet, height=0.78, color=layer.colour, edgecolor="white", linewidth=0.3)
        feet = [foot + width for foot, width in zip(feet, layer.products, strict=True)]
    axes.set_xlim(0, max([1, *feet]))


def _name_bars(axes: Axes, census: Counts, *, size: float) -> None:
    """The clients' names on the left; on the right what each holds in all, and mostly."""
    heights = range(len(census))
    axes.set_yticks(heights, [_short(name, 18) for name in census], fontsize=size, parse_math=False)
    axes.set_ylim(max(MIN_ROWS, len(census)) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color="#e4e4e4", linewidth=0.5)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    name_axes(axes, "products", "")
    for height, held in zip(heights, census.values(), strict=True):
        write(axes, sum(held.values()), height, f"  {_said(held)}", size=size, colour=QUIET, va="center")


def _said(held: Mapping[str, int]) -> str:
    total = sum(held.values())
    if not total:
        return "0"
    largest = max(held, key=lambda value: (held[value], value))
    return f"{total:,} · {held[largest] / total:.0%} {_short(largest)}"


def _legend_places(names: Sequence[str]) -> tuple[list[tuple[int, float]], int]:
    """Row and inches from the left of each name, and the number of rows."""
    places, row, x = [], 0, 0.2
    for name in names:
        width = BOX_IN + 0.3 + CHARACTER_IN * len(name)
        if x + width > WIDTH_IN - 0.1 and x > 0.2:
            row, x = row + 1, 0.2
        places.append((row, x))
        x += width
    return places, row + 1


def _draw_legend(figure: Figure, layers: Sequence[_Layer], places: Sequence[tuple[int, float]]) -> None:
    height = float(figure.get_size_inches()[1])
    for layer, (row, x) in zip(layers, places, strict=True):
        y = height - LEGEND_TOP_IN - row * LEGEND_ROW_IN
        corner = (x / WIDTH_IN, (y - BOX_IN / 2) / height)
        box = Rectangle(corner, BOX_IN / WIDTH_IN, BOX_IN / height, color=layer.colour, linewidth=0)
        figure.add_artist(box)
        write(figure, (x + BOX_IN + 0.06) / WIDTH_IN, y / height, layer.name, size=SMALL_PT, va="center")


def _short(name: str, characters: int = MAX_NAME) -> str:
    return name if len(name) <= characters else f"{name[: characters - 1]}…"
