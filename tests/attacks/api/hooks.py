"""What schemathesis looks for in every answer (``SCHEMATHESIS_HOOKS``): nothing of ours may have broken.

Its own check takes every error in a GraphQL answer for one of the server; here an error that names the caller's mistake
is an answer.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, Response


@schemathesis.check
def nothing_broke(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """No status of 500 and above, and no error that is masked because it was not foreseen."""
    assert response.status_code < 500, f"{response.status_code}: {response.text[:500]}"
    if response.content and "json" in "".join(response.headers.get("content-type", [])):
        body = response.json()
        errors = (body.get("errors") or []) if isinstance(body, dict) else []
        codes = {error.get("extensions", {}).get("code") for error in errors}
        assert "api.unexpected" not in codes, response.text[:500]
