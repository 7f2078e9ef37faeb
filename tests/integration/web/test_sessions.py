"""A session in the page: renewed in time, handed from page to page, kept where nobody finds it, and ended for good."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Request, Route, expect

from tests.integration.web.platform import OPERATOR, PASSWORD, READER, Platform
from tests.integration.web.visitor import Visitor

pytestmark = pytest.mark.integration

Visit = Callable[..., Visitor]
DRESS = "red summer dress"
# The page's own module: a browser loads each address once.
ACCESS_TOKEN = 'async () => (await import("/web/tokens.js")).accessToken()'


def sign_in(visitor: Visitor, name: str = READER) -> Any:
    """Sign in by the dialog; the tokens that the API gave."""
    visitor.page.locator("#session").click()
    with visitor.page.expect_response("**/auth/token") as caught:
        visitor.sign_in(name, PASSWORD)
    expect(visitor.page.locator("#session")).to_have_text("Sign out")
    tokens = caught.value.json()
    visitor.settled()
    return tokens


def renewals_of(visitor: Visitor) -> list[str]:
    """Where the page asks for the next pair from now on, each time that it does."""
    seen: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/auth/refresh"):
            seen.append(request.url)

    visitor.page.on("request", note)
    return seen


def status_of(platform: Platform, access_token: str) -> int:
    query = {"query": "{ allFiles(limit: 1) { id } }"}
    headers = {"Authorization": f"Bearer {access_token}"}
    return httpx.post(f"{platform.url}/graphql", json=query, headers=headers, timeout=30).status_code


def renewal_of(reader: Visitor, refresh_token: str) -> Any:
    """Let the time pass in which the page renews its session; the tokens that it holds then."""
    with reader.page.expect_response("**/auth/refresh") as caught:
        reader.page.clock.fast_forward(14 * 60 * 1000 + 1000)
    assert caught.value.request.post_data == f"refresh_token={refresh_token}"
    tokens = caught.value.json()
    # An answer that the browser has received is not yet one that the page has read.
    ends = time.monotonic() + 20
    while reader.page.evaluate(ACCESS_TOKEN) != tokens["access_token"]:
        assert time.monotonic() < ends, "the page did not take up its new tokens"
        time.sleep(0.02)
    return tokens


def test_it_is_renewed_before_its_access_token_ends_and_searching_goes_on(visit: Visit) -> None:
    reader = visit()
    reader.page.clock.install()
    first = sign_in(reader.at("/"))
    second = renewal_of(reader, first["refresh_token"])
    third = renewal_of(reader, second["refresh_token"])
    with reader.page.expect_request("**/graphql") as asked:
        reader.search(DRESS)
    assert asked.value.headers["authorization"] == f"Bearer {third['access_token']}"


def test_a_laptop_that_slept_renews_before_it_asks(visit: Visit) -> None:
    reader = visit()
    reader.page.clock.install()
    sign_in(reader.at("/"))
    renewals = renewals_of(reader)
    # The time is another one, and no timer has fired.
    reader.page.evaluate("() => { const now = Date.now; Date.now = () => now() + 16 * 60 * 1000; }")
    reader.search(DRESS)
    assert len(renewals) == 1


def test_it_goes_from_page_to_page_and_over_a_reload_and_no_storage_holds_it_meanwhile(visit: Visit) -> None:
    operator = visit().at("/")
    tokens = sign_in(operator, OPERATOR)
    for move in (lambda: operator.page.reload(), lambda: operator.at("/federation"), lambda: operator.page.go_back()):
        move()
        expect(operator.page.locator("#session")).to_have_text("Sign out")
        operator.settled()
        kept = operator.page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])")
        assert tokens["refresh_token"] not in kept
        assert "access" not in kept


def test_a_token_that_is_refused_is_renewed_once_for_all_that_wait_and_nobody_notices(visit: Visit) -> None:
    reader = visit().at("/")
    first = sign_in(reader)
    renewals = renewals_of(reader)

    def refuse(route: Route) -> None:
        # As after the key that signed it was retired.
        if route.request.headers.get("authorization") == f"Bearer {first['access_token']}":
            body = {"code": "security.unauthenticated", "message": "No valid access token.", "hint": ""}
            route.fulfill(status=401, json=body)
        else:
            route.continue_()

    reader.page.route("**/graphql", refuse)
    reader.page.route("**/files/*/image", refuse)
    reader.search(DRESS)
    expect(reader.cards.first).to_be_visible()
    expect(reader.page.locator("dialog[open]")).to_have_count(0)
    assert len(renewals) == 1
    reader.forgive("401")


def test_one_that_is_over_asks_to_sign_in_and_goes_on_where_one_was(visit: Visit, tejido: Platform) -> None:
    reader = visit().at("/")
    form = {"refresh_token": sign_in(reader)["refresh_token"]}
    assert httpx.post(f"{tejido.url}/auth/logout", data=form, timeout=30).status_code == 204
    reader.page.locator("#text").fill(DRESS)
    reader.page.locator("#text").press("Enter")
    expect(reader.page.locator("#sign-in-problem")).to_have_text("Please sign in to go on.")
    reader.sign_in(READER, PASSWORD)
    expect(reader.facts).to_contain_text("model")
    expect(reader.page.locator("#text")).to_have_value(DRESS)
    reader.settled()
    reader.forgive("401")


def test_signing_out_ends_it_on_the_server_too(visit: Visit, tejido: Platform) -> None:
    reader = visit().at("/")
    tokens = sign_in(reader)
    assert status_of(tejido, tokens["access_token"]) == 200
    with reader.page.expect_response("**/auth/logout") as caught:
        reader.page.locator("#session").click()
    assert caught.value.status == 204
    assert status_of(tejido, tokens["access_token"]) == 401
    expect(reader.page.locator("#session")).to_have_text("Sign in")
    expect(reader.page.locator("dialog[open]")).to_have_count(0)


def test_whoever_signs_out_while_the_server_is_away_is_told_so_in_their_language(visit: Visit) -> None:
    for locale, said in (("en-GB", "The server could not be told"), ("es-ES", "No se pudo avisar al servidor")):
        reader = visit(locale=locale).at("/")
        reader.page.locator("#session").click()
        reader.sign_in(READER, PASSWORD)
        expect(reader.cards.first).to_be_visible()
        reader.settled()
        reader.page.context.set_offline(True)
        reader.page.locator("#session").click()
        expect(reader.page.locator("#sign-in-problem")).to_contain_text(said)
        reader.page.context.set_offline(False)
        reader.forgive("ERR_INTERNET_DISCONNECTED")
