"""Forms that no parser can read are the caller's mistake, on every path that takes one."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient


@pytest.mark.parametrize("path", ["/v1/search/image", "/graphql", "/auth/token"])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (b"multipart/form-data; boundary=b", b"--b\r\nTrue--b--\r\n"),
        (b"multipart/form-data; boundary=b", b"--b--\r\n\xff"),
        (b"multipart/form-data; boundary=b", b"no boundary at all"),
        (b"multipart/form-data; boundary=\xff", b"--b\r\n"),
        (b"multipart/form-data; boundary=", b"--b\r\n"),
        (b"multipart/form-data", b"--b\r\n"),
    ],
)
def test_a_form_that_cannot_be_read_is_a_bad_request(
    client: TestClient, path: str, content_type: bytes, body: bytes
) -> None:
    answer = client.post(path, content=body, headers=[(b"Content-Type", content_type)])
    assert (answer.status_code, answer.json()["code"]) == (400, "api.request_invalid")
