"""The page of the federation: what an operator sees and does there, and nobody else."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from core.progress import NoProgress
from federation.config import FederationConfig
from server.runs import run_federation
from tests.integration.web.platform import CLIENTS, OPERATOR, PRODUCTS, READER, RUNS, Platform
from tests.integration.web.visitor import Visitor

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

Visit = Callable[..., Visitor]
NEWEST = list(RUNS.values())[-1]
RUN_MS = 120_000


def test_a_reader_is_told_for_whom_it_is_and_sees_nothing_of_it(visit: Visit) -> None:
    reader = visit().signed_in_as(READER, path="/federation")
    expect(reader.page.locator(".readers")).to_contain_text("ask an administrator for the role operator")
    expect(reader.page.locator("#training")).to_be_hidden()
    assert reader.page.locator("#models tr").count() == 0


def test_an_operator_sees_the_rounds_the_curve_and_who_takes_part(operator: Visitor, tejido: Platform) -> None:
    page = operator.page
    expect(page.locator("#live")).to_be_visible()
    expect(page.locator("#runs .run")).to_have_count(len(RUNS))
    expect(page.locator("#rounds tr")).to_have_count(NEWEST.rounds)
    expect(page.locator("#curve .main circle")).to_have_count(NEWEST.rounds)
    expect(page.locator("#participants th")).to_have_text(CLIENTS)
    expect(page.locator("#participants tr").first.locator(".marks i.accepted")).to_have_count(NEWEST.rounds)
    expect(page.locator("#tile-champion")).to_have_text(f"model {tejido.versions[-1]}")
    expect(page.locator("#said-index")).to_contain_text(f"{PRODUCTS} products")
    operator.photograph("federation", whole=True)
    page.locator("#runs .run").nth(1).click()
    expect(page.locator("#rounds tr")).to_have_count(next(iter(RUNS.values())).rounds)


def test_one_query_before_two_models_shows_what_moved(operator: Visitor, tejido: Platform) -> None:
    page = operator.page
    expect(page.locator("#version-a")).to_have_value(tejido.versions[0])
    expect(page.locator("#version-b")).to_have_value(tejido.versions[1])
    page.locator("#compare-text").fill("red summer dress")
    page.locator("#compare-text").press("Enter")
    expect(page.locator("#side-b li")).to_have_count(10)
    ids = "(items) => items.map((item) => item.dataset.id)"
    before, after = (page.locator(f"#side-{side} li").evaluate_all(ids) for side in "ab")
    marks = page.locator("#side-b .moved").evaluate_all("(marks) => marks.map((m) => m.className.split(' ')[1])")
    assert len(marks) == 10
    for place, (product, mark) in enumerate(zip(after, marks, strict=True)):
        if product in before:
            was = before.index(product)
            assert mark == ("same" if was == place else "up" if was > place else "down")
        else:
            assert mark in ("new", "up")
    both = len(set(before) & set(after))
    expect(page.locator("#compare-said")).to_contain_text(f"{both} in both")
    page.locator("#side-b li").nth(0).hover()
    expect(page.locator("#side-b li.lit")).to_have_count(1)
    for item in page.locator(".side li").all()[::5]:
        item.scroll_into_view_if_needed()
    operator.until("[...document.querySelectorAll('.side img')].every((image) => image.naturalWidth)")
    operator.photograph("side-by-side", whole=True)


def test_an_operator_rolls_back_and_promotes_with_a_reason_that_the_trail_keeps(
    operator: Visitor, tejido: Platform
) -> None:
    page, (first, second) = operator.page, tejido.versions
    page.get_by_role("button", name=f"Roll back to model {first}").click()
    page.locator("#deed-go").click()
    expect(page.locator("#deed")).to_be_visible()  # not without a reason
    page.locator("[name=reason]").fill("it finds dresses for shoes")
    operator.photograph("roll-back")
    page.locator("#deed-go").click()
    expect(page.locator("#done")).to_be_visible()
    expect(page.locator("#models tr.champion th")).to_have_text(f"model {first}")
    page.locator(".trail summary").click()
    expect(page.locator("#changes li").first).to_contain_text(f"rolled back from {second} to {first}")
    expect(page.locator("#changes li").first).to_contain_text(f"{OPERATOR}: it finds dresses for shoes")
    page.get_by_role("button", name=f"Roll back to model {second}").click()
    page.locator("[name=reason]").fill("it does not")
    page.locator("#deed-go").click()
    expect(page.locator("#models tr.champion th")).to_have_text(f"model {second}")
    expect(page.locator("#tile-champion")).to_have_text(f"model {second}")


def test_a_promotion_tells_the_verdict_of_the_test(operator: Visitor, tejido: Platform) -> None:
    page, (first, second) = operator.page, tejido.versions
    page.get_by_role("button", name=f"Promote model {first}").click()
    page.locator("[name=reason]").fill("let us see")
    page.locator("#deed-go").click()
    verdict = page.locator("#done:not([hidden]), #deed-problem:not([hidden])")
    expect(verdict).to_have_text(re.compile(f"refuses it|Model {first} is the champion now"), timeout=RUN_MS)
    if page.locator("#deed").is_visible():
        page.locator("#override").check()
        page.locator("#deed-go").click()
        expect(page.locator("#deed")).to_be_hidden(timeout=RUN_MS)
    expect(page.locator("#models tr.champion th")).to_have_text(f"model {first}")
    page.get_by_role("button", name=f"Roll back to model {second}").click()
    page.locator("[name=reason]").fill("as before")
    page.locator("#deed-go").click()
    expect(page.locator("#models tr.champion th")).to_have_text(f"model {second}")


@pytest.mark.parametrize(("name", "how"), [("dark", {"dark": True}), ("phone", {"width": 390, "height": 844})])
def test_it_is_readable_in_the_dark_and_on_a_phone(visit: Visit, name: str, how: dict[str, int]) -> None:
    operator = visit(**how).signed_in_as(OPERATOR, path="/federation")
    expect(operator.page.locator("#curve svg")).to_be_visible()
    assert operator.page.evaluate("document.documentElement.scrollWidth") <= how.get("width", 1360)
    operator.photograph(f"federation-{name}", whole=True)


def test_it_speaks_spanish(visit: Visit) -> None:
    operator = visit(locale="es-ES").signed_in_as(OPERATOR, path="/federation")
    expect(operator.page.locator("#training-title")).to_have_text("Entrenamiento")
    expect(operator.page.locator("#said-champion")).to_contain_text("antes de entrenar")
    operator.photograph("federation-spanish", whole=True)


def test_a_run_is_seen_while_it_goes_on(operator: Visitor, tejido: Platform) -> None:
    """Last: it leaves a run and a model behind."""
    config, found = FederationConfig(rounds=2, seed=2), []
    work = threading.Thread(
        target=lambda: found.append(run_federation(tejido.settings, config, "page-live", NoProgress()))
    )
    work.start()
    try:
        page = operator.page
        newest = page.locator("#runs .run").first
        expect(newest).to_contain_text("page-live", timeout=RUN_MS)
        expect(newest).to_contain_text("running")
        expect(page.locator("#rounds tr.running")).to_have_count(1, timeout=RUN_MS)
        expect(page.locator("#curve .main circle")).to_have_count(1, timeout=RUN_MS)
        operator.photograph("federation-live", whole=True)
        expect(newest).to_contain_text("completed", timeout=RUN_MS)
        expect(page.locator("#rounds tr")).to_have_count(config.rounds)
    finally:
        work.join()
    assert found[0]["rounds"]
