"""What holds for every page: words in both languages, and colours that can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.web.visitor import Visitor

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

PATHS = ("/", "/federation")
READABLE = 4.5
"""Least contrast of text, by WCAG 2.2 AA."""
TEXTS = [
    *((ink, ground) for ink in ("ink", "soft", "accent", "good", "bad") for ground in ("paper", "card")),
    *(("soft", "sunk"), ("ink", "warn"), ("on-accent", "accent"), ("thread", "card")),
]
WORDS = """async () => {
    const [en, es] = await Promise.all(["en", "es"].map((language) => import(`/web/words_${language}.js`)));
    const kinds = ({WORDS}) => Object.fromEntries(Object.entries(WORDS).map(([name, word]) => [name, typeof word]));
    return [kinds(en), kinds(es)];
}"""
ASKED = """() => ["word", "placeholder", "title", "label"].flatMap((kind) =>
    [...document.querySelectorAll(`[data-${kind}]`)].map((element) => element.dataset[kind]))"""
COLOUR = """(name) => {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = `var(--${name})`;
    const found = getComputedStyle(probe).color.match(/\\d+/g).slice(0, 3).map(Number);
    probe.remove();
    return found;
}"""


@pytest.mark.parametrize("path", PATHS)
def test_every_word_is_there_in_both_languages(visit: Callable[..., Visitor], path: str) -> None:
    page = visit().at(path).page
    english, spanish = page.evaluate(WORDS)
    assert english == spanish
    assert set(page.evaluate(ASKED)) <= english.keys()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_texts_can_be_read_on_their_grounds(visit: Callable[..., Visitor], dark: bool) -> None:
    page = visit(dark=dark).at("/").page
    faint = [(ink, ground) for ink, ground in TEXTS if contrast(page.evaluate, ink, ground) < READABLE]
    assert faint == []


def contrast(evaluate: Callable[..., Any], one: str, other: str) -> float:
    """Of two colours of the pages, by WCAG's formula: 1 to 21."""
    dark, light = sorted(luminance(evaluate(COLOUR, name)) for name in (one, other))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: list[int]) -> float:
    shares = [value / 255 for value in colour]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
