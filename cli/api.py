"""Asks the running API what a reader would ask: with a token, by words and by picture."""

from __future__ import annotations

import base64
import time
from typing import Any

import httpx

from cli.errors import ApiRefused, ApiUnreachable

TIMEOUT_S = 30.0
READY_WITHIN_S = 90.0

BY_TEXT = """
query ($text: String!, $first: Int!) {
  searchByText(text: $text, first: $first) {
    indexVersion modelVersion exact truncated
    edges { score node { id productDisplayName } }
  }
}
"""
BY_IMAGE = """
query ($image: String!, $first: Int!) {
  searchByImage(image: $image, first: $first) {
    indexVersion modelVersion exact truncated
    edges { score node { id productDisplayName } }
  }
}
"""


class SearchApi:
    """A signed-in client of the GraphQL API."""

    def __init__(self, url: str, *, username: str, password: str) -> None:
        self.token = ""
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S)
        self._credentials = {"username": username, "password": password}

    def wait_until_ready(self, *, within_s: float = READY_WITHIN_S) -> None:
        """Wait until /readyz says that database, model and index are there."""
        deadline = time.monotonic() + within_s
        while True:
            response = self._send("GET", "/readyz")
            if response.is_success:
                return
            if time.monotonic() > deadline:
                raise ApiRefused(f"The API is not ready after {within_s:.0f} s: {response.text[:300]}")
            time.sleep(0.5)

    def sign_in(self) -> None:
        """Fetch an access token and use it from here on."""
        self.token = str(self._checked(self._send("POST", "/auth/token", data=self._credentials))["access_token"])
        self._http.headers["Authorization"] = f"Bearer {self.token}"

    def by_text(self, text: str, *, limit: int = 5) -> dict[str, Any]:
        """Search by words."""
        return self._search("searchByText", BY_TEXT, {"text": text, "first": limit}, shown=text)

    def by_image(self, image: bytes, *, shown: str, limit: int = 5) -> dict[str, Any]:
        """Search by an encoded picture; ``shown`` names it in the answer."""
        variables = {"image": base64.b64encode(image).decode(), "first": limit}
        return self._search("searchByImage", BY_IMAGE, variables, shown=shown)

    def picture(self, product_id: str) -> bytes:
        """A product's picture."""
        response = self._send("GET", f"/files/{product_id}/image")
        if response.is_error:
            raise ApiRefused(f"The picture of product {product_id} was refused: {response.status_code}.")
        return response.content

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of one query or mutation; signs in once more when the token has expired meanwhile.

        Raises:
            ApiUnreachable, ApiRefused: as the API, or its absence, says.
        """
        body = {"query": query, "variables": variables}
        response = self._send("POST", "/graphql", json=body)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self.sign_in()
            response = self._send("POST", "/graphql", json=body)
        answer = self._checked(response)
        if answer.get("errors"):
            error = answer["errors"][0]
            hint = error.get("extensions", {}).get("hint", "")
            raise ApiRefused(f"The API refused: {error['message']}", hint=hint)
        data: dict[str, Any] = answer["data"]
        return data

    def _search(self, field: str, query: str, variables: dict[str, Any], *, shown: str) -> dict[str, Any]:
        answer = self._checked(self._send("POST", "/graphql", json={"query": query, "variables": variables}))
        if answer.get("errors"):
            raise ApiRefused(f"{field} was refused: {answer['errors'][0]['message']}")
        hits = [{**edge["node"], "score": edge["score"]} for edge in answer["data"][field]["edges"]]
        return {"query": shown, "hits": hits}

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise ApiUnreachable(
                f"The API at {self._http.base_url} does not answer: {error}.",
                hint="Is the stack up? Start it: `tejido up`.",
            ) from error

    @staticmethod
    def _checked(response: httpx.Response) -> Any:
        if response.is_error:
            raise ApiRefused(f"{response.request.url.path} answered {response.status_code}: {response.text[:300]}")
        return response.json()
