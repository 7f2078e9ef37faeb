"""The search page, used as people use it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from core.progress import NoProgress
from server.indexing import build_index
from tests.integration.web.platform import PASSWORD, PRODUCTS, READER, Platform
from tests.integration.web.visitor import Visitor

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

Visit = Callable[..., Visitor]
PAGE = 24
DRESS = "red summer dress"


def test_a_stranger_is_asked_who_they_are_and_told_when_that_is_wrong(visit: Visit) -> None:
    stranger = visit().at("/")
    expect(stranger.page.locator(".welcome")).to_contain_text("Sign in to begin")
    stranger.photograph("search-stranger")
    stranger.page.locator("#session").click()
    stranger.sign_in(READER, "not the password")
    expect(stranger.page.get_by_role("alert")).to_have_text("Name or password is wrong.")
    stranger.photograph("sign-in-refused")
    stranger.forgive("401")
    stranger.sign_in(READER, PASSWORD)
    expect(stranger.cards).to_have_count(PAGE)
    stranger.settled()
    expect(stranger.page.locator("#session")).to_have_text("Sign out")
    stranger.page.locator("#session").click()
    expect(stranger.page.locator(".welcome")).to_be_visible()
    expect(stranger.cards).to_have_count(0)


def test_words_find_products_and_the_answer_says_by_which_model_and_index(reader: Visitor, tejido: Platform) -> None:
    reader.search(DRESS)
    told = rf"^{PRODUCTS} products · model {tejido.versions[-1]} · index \d+ · every product compared · \d+ ms$"
    expect(reader.facts).to_have_text(re.compile(told))
    expect(reader.page).to_have_url(re.compile(r"\?q=red\+summer\+dress$"))
    assert any("Red" in title for title in reader.titles[:4])
    scores = [float(text) for text in reader.page.locator(".score span").all_text_contents()]
    assert scores == sorted(scores, reverse=True)
    reader.until("[...document.querySelectorAll('.card img')].slice(0, 8).every((i) => i.naturalWidth)")
    reader.photograph("search-words")


def test_a_picture_finds_its_product_also_beside_words(reader: Visitor, picture: tuple[Path, str]) -> None:
    file, title = picture
    reader.page.locator("#picture").set_input_files(file)
    expect(reader.page.locator("#asked-picture")).to_be_visible()
    expect(reader.facts).to_contain_text("model")
    reader.settled()
    assert reader.titles[0] == title
    reader.photograph("search-picture")
    reader.search("blue")
    expect(reader.page.locator("#weighing")).to_be_visible()
    reader.page.locator("#unask").click()
    expect(reader.page.locator("#asked-picture")).to_be_hidden()
    expect(reader.page).to_have_url(re.compile(r"/\?q=blue$"))
    reader.page.go_back()
    expect(reader.page.locator("#asked-picture")).to_be_visible()


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_can_be_dropped_or_pasted(reader: Visitor, picture: tuple[Path, str], way: str) -> None:
    file, title = picture
    give_picture(reader, way, file.read_bytes(), "image/jpeg")
    expect(reader.page.locator("#asked-picture")).to_be_visible()
    expect(reader.facts).to_contain_text("model")
    reader.settled()
    assert reader.titles[0] == title


def test_what_is_no_picture_is_said_to_be_none(reader: Visitor) -> None:
    give_picture(reader, "drop", b"%PDF-1.7 not a picture", "image/jpeg")
    expect(reader.page.get_by_role("alert")).to_contain_text("cannot be read as a picture")


def test_chips_count_truly_narrow_down_and_go_one_by_one_or_all_at_once(reader: Visitor, api: httpx.Client) -> None:
    women = reader.chip("gender=Women")
    count = int(women.locator(".count").inner_text())
    assert count == true_count(api, {"gender": ["Women"]})
    women.click()
    expect(reader.facts).to_contain_text(f"{count} products")
    expect(women).to_have_attribute("aria-pressed", "true")
    # What else could be chosen of the same attribute is still there, with its own count.
    men = int(reader.chip("gender=Men").locator(".count").inner_text())
    reader.chip("gender=Men").click()
    expect(reader.facts).to_contain_text(f"{count + men} products")
    reader.chip("baseColour=Black").click()
    black = true_count(api, {"gender": ["Women", "Men"], "baseColour": ["Black"]})
    expect(reader.facts).to_contain_text(f"{black} products")
    reader.settled()
    for tags in reader.page.locator(".card .tags").all_text_contents():
        assert "Black" in tags
    reader.photograph("search-facets")
    reader.page.get_by_role("button", name="Remove For whom: Men").click()
    expect(reader.page).to_have_url(re.compile(r"\?gender=Women&baseColour=Black$"))
    reader.page.locator("#clear").click()
    expect(reader.facts).to_contain_text(f"{PRODUCTS} products")
    reader.page.go_back()
    expect(reader.page.locator("#chosen .chip")).to_have_count(2)
    reader.settled()


def test_years_have_a_first_and_a_last(reader: Visitor, api: httpx.Client) -> None:
    reader.page.locator("#facets summary", has_text="Year").click()
    first, last = (reader.page.get_by_label(f"Year: {bound}") for bound in ("From", "To"))
    first.fill("2011")
    first.press("Tab")
    since = true_count(api, {"yearFrom": 2011})
    assert 0 < since < PRODUCTS
    expect(reader.facts).to_contain_text(f"{since} products")
    expect(last).to_be_focused()
    last.fill("2012")
    last.press("Enter")
    expect(reader.page).to_have_url(re.compile(r"\?yearFrom=2011&yearTo=2012$"))
    within = true_count(api, {"yearFrom": 2011, "yearTo": 2012})
    assert 0 < within < since
    expect(reader.facts).to_contain_text(f"{within} products")
    # The years outside can still be seen and chosen.
    assert int(reader.chip("year=2013").locator(".count").inner_text()) == true_count(api, {"year": ["2013"]})
    reader.photograph("search-years")
    # An impossible year is said to be none, and nothing is asked with it.
    for wrong in ("2013", "12"):
        first.fill(wrong)
        first.press("Enter")
        assert "A year such as 2012" in str(first.evaluate("(field) => field.validationMessage"))
        expect(reader.page).to_have_url(re.compile(r"\?yearFrom=2011&yearTo=2012$"))
    reader.page.get_by_role("button", name="Remove From: 2011").click()
    expect(reader.page).to_have_url(re.compile(r"\?yearTo=2012$"))
    expect(first).to_have_value("")
    reader.page.locator("#clear").click()
    expect(reader.facts).to_contain_text(f"{PRODUCTS} products")
    reader.page.goto(f"{reader.page.url}?yearFrom=2012&yearTo=x")
    expect(last).to_have_value("")
    expect(first).to_have_value("2012")
    reader.settled()


def test_more_comes_as_one_scrolls_and_every_product_once(reader: Visitor) -> None:
    reader.search(DRESS)
    reader.page.locator("#more").scroll_into_view_if_needed()
    expect(reader.cards).not_to_have_count(PAGE)
    while (shown := reader.cards.count()) < PRODUCTS:
        reader.page.locator("#end").scroll_into_view_if_needed()
        expect(reader.cards).not_to_have_count(shown)
    reader.settled()
    expect(reader.page.locator("#more")).to_be_hidden()
    ids = reader.page.locator(".card").evaluate_all("(cards) => cards.map((card) => card.dataset.id)")
    assert len(ids) == len(set(ids)) == PRODUCTS
    # Pictures far from the window are let go: memory stays bounded.
    assert reader.page.locator(".card img[src]").count() < PRODUCTS / 2


def test_what_was_found_stays_where_the_next_page_cannot_be_had(reader: Visitor) -> None:
    reader.search(DRESS)
    reader.page.context.set_offline(True)
    shown = reader.cards.count()
    reader.page.locator("#end").scroll_into_view_if_needed()
    expect(reader.page.get_by_role("alert")).to_contain_text("The server does not answer.")
    assert reader.cards.count() == shown
    reader.page.context.set_offline(False)
    reader.page.locator("#notice-again").click()
    expect(reader.cards).not_to_have_count(shown)
    expect(reader.page.locator("#notice")).to_be_hidden()
    reader.settled()
    reader.forgive("ERR_INTERNET_DISCONNECTED")


def test_without_a_scroll_the_button_brings_more(visit: Visit) -> None:
    reader = visit()
    reader.page.add_init_script("window.IntersectionObserver = class { observe() {} unobserve() {} }")
    reader.signed_in_as(READER).search(DRESS)
    shown = reader.cards.count()
    reader.page.locator("#more").click()
    expect(reader.cards).to_have_count(shown + PAGE)


def test_more_like_one_product_and_back(reader: Visitor) -> None:
    reader.search(DRESS)
    title = reader.titles[2]
    reader.page.locator(".card .like").nth(2).click()
    expect(reader.page.locator("#like-title")).to_have_text(f"Like {title}")
    expect(reader.page).to_have_url(re.compile(r"\?like=\d+$"))
    reader.settled()
    assert title not in reader.titles[:PAGE] or reader.titles.count(title) < PRODUCTS
    reader.photograph("search-like")
    reader.page.go_back()
    expect(reader.page.locator("#text")).to_have_value(DRESS)
    reader.settled()
    assert reader.titles[2] == title


def test_everything_can_be_done_by_keys(reader: Visitor) -> None:
    page = reader.page
    page.keyboard.press("/")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type("white running shoes")
    page.keyboard.press("Enter")
    expect(reader.facts).to_contain_text("model")
    reader.settled()
    page.keyboard.press("ArrowDown")
    titles = page.locator(".card h3 button")
    expect(titles.nth(0)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(titles.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(titles.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#product")).to_be_visible()
    expect(page.locator("#product-title")).to_have_text(reader.titles[1])
    reader.photograph("product")
    page.keyboard.press("Escape")
    expect(page.locator("#product")).to_be_hidden()
    expect(titles.nth(1)).to_be_focused()


def test_an_address_says_all_that_is_asked(reader: Visitor) -> None:
    reader.search("shirt")
    reader.chip("gender=Men").click()
    reader.page.locator("#without").fill("striped")
    reader.page.locator("#without").press("Tab")
    reader.page.locator("#unique").check()
    reader.page.locator("#varied").check()
    reader.page.locator("#view-list").click()
    expect(reader.page).to_have_url(re.compile(r"\?q=shirt&without=striped&unique=1&varied=1&view=list&gender=Men$"))
    reader.settled()
    reader.photograph("search-list")
    before = reader.titles
    reader.page.reload()
    expect(reader.cards.first).to_be_visible()
    reader.settled()
    assert reader.titles == before
    expect(reader.page.locator("#unique")).to_be_checked()


def test_where_nothing_fits_it_is_said_with_a_way_on(reader: Visitor) -> None:
    reader.at("/?q=shirt&gender=Men&articleType=Dresses")
    expect(reader.page.locator("#empty")).to_contain_text("Nothing fits.")
    reader.photograph("search-empty")
    reader.page.locator("#clear").click()
    expect(reader.cards.first).to_be_visible()
    reader.settled()


def test_a_value_that_no_product_has_is_named(reader: Visitor) -> None:
    reader.at("/?q=shirt&brand=Nobody")
    expect(reader.page.get_by_role("alert")).to_contain_text("No product has the brand 'Nobody'.")
    reader.photograph("search-unknown-value")
    reader.settled()


def test_a_server_that_does_not_answer_is_said_to_and_asked_again(reader: Visitor) -> None:
    reader.page.context.set_offline(True)
    reader.page.locator("#text").fill("silver watch")
    reader.page.locator("#text").press("Enter")
    expect(reader.page.get_by_role("alert")).to_contain_text("The server does not answer.")
    reader.photograph("search-error")
    reader.page.context.set_offline(False)
    reader.page.locator("#notice-again").click()
    expect(reader.cards.first).to_be_visible()
    expect(reader.page.locator("#notice")).to_be_hidden()
    reader.settled()
    reader.forgive("ERR_INTERNET_DISCONNECTED")


def test_it_speaks_spanish(visit: Visit) -> None:
    reader = visit(locale="es-ES").signed_in_as(READER)
    expect(reader.page.locator("html")).to_have_attribute("lang", "es")
    expect(reader.page.locator("h1")).to_have_text("Encuéntralo con palabras o con una foto.")
    reader.chip("gender=Women").click()
    expect(reader.page.locator("#chosen")).to_contain_text("Mujer")
    reader.search("black leather handbag")
    expect(reader.facts).to_contain_text("modelo")
    reader.photograph("search-spanish")
    reader.page.locator("#language").click()
    expect(reader.page.locator("#chosen")).to_contain_text("Women")
    expect(reader.facts).to_contain_text("every product compared")


def test_it_is_dark_where_people_want_it_dark(visit: Visit) -> None:
    reader = visit(dark=True).signed_in_as(READER).search(DRESS)
    reader.photograph("search-dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    assert reader.page.evaluate(paper) == "rgb(19, 22, 27)"
    reader.page.locator("#theme").click()
    assert reader.page.evaluate(paper) == "rgb(250, 247, 242)"
    reader.page.reload()
    assert reader.page.evaluate(paper) == "rgb(250, 247, 242)"
    expect(reader.cards.first).to_be_visible()
    reader.settled()


@pytest.mark.parametrize("width", [320, 390])
def test_it_fits_a_phone_where_chips_are_a_sheet(visit: Visit, width: int) -> None:
    reader = visit(width=width, height=844).signed_in_as(READER).search(DRESS)
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
    reader.photograph(f"search-phone-{width}")
    reader.page.locator("#filters-open").click()
    expect(reader.page.locator("#filters")).to_be_visible()
    reader.photograph(f"search-phone-{width}-filters")
    reader.chip("masterCategory=Apparel").click()
    expect(reader.page.locator("#filters-close")).to_contain_text("Show")
    reader.page.keyboard.press("Escape")
    expect(reader.page.locator("#filters")).to_be_hidden()
    expect(reader.page.locator("#filters-count")).to_have_text("1")
    reader.settled()


def test_where_the_index_is_renewed_meanwhile_the_search_begins_again(reader: Visitor, tejido: Platform) -> None:
    reader.search("men formal shirt")
    newer = build_index(tejido.settings, NoProgress(), rebuild=True)["version"]
    tejido.wait_for_index(newer)
    reader.page.locator("#end").scroll_into_view_if_needed()
    expect(reader.page.get_by_role("alert")).to_contain_text("The index was renewed meanwhile")
    expect(reader.facts).to_contain_text(f"index {newer}")
    reader.settled()


GIVE = """({way, bytes, type}) => {
    const given = new DataTransfer();
    given.items.add(new File([new Uint8Array(bytes)], "picture.jpg", {type}));
    const event = way === "drop" ? new DragEvent("drop", {dataTransfer: given, bubbles: true, cancelable: true})
        : new ClipboardEvent("paste", {clipboardData: given, bubbles: true, cancelable: true});
    document.body.dispatchEvent(event);
}"""


def give_picture(visitor: Visitor, way: str, data: bytes, kind: str) -> None:
    visitor.page.evaluate(GIVE, {"way": way, "bytes": list(data), "type": kind})


@pytest.fixture
def api(tejido: Platform) -> Iterator[httpx.Client]:
    """The API without a page, for what is true."""
    with httpx.Client(base_url=tejido.url, timeout=30) as client:
        client.headers["Authorization"] = f"Bearer {tejido.token(READER)}"
        yield client


@pytest.fixture
def picture(api: httpx.Client, tmp_path: Path) -> tuple[Path, str]:
    """The picture of a product of the catalogue, as a file, and the product's title."""
    query = "{ allFiles(limit: 1, offset: 42) { id productDisplayName } }"
    (file,) = api.post("/graphql", json={"query": query}).json()["data"]["allFiles"]
    path = tmp_path / "picture.jpg"
    path.write_bytes(api.get(f"/files/{file['id']}/image").content)
    return path, file["productDisplayName"]


def true_count(api: httpx.Client, chosen: dict[str, Any]) -> int:
    query = "query ($f: FileFilter) { files(first: 100, filter: $f) { totalCount edges { node { id } } } }"
    answer = api.post("/graphql", json={"query": query, "variables": {"f": chosen}}).json()["data"]["files"]
    return int(answer["totalCount"])
