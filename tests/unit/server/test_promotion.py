"""What a judgement leads to."""

from __future__ import annotations

import numpy as np
import pytest

from server.judgement import Judgement, judge
from server.promotion import _decide
from tests.unit.server.test_judgement import CLIENTS, answered, retrieval


def judgement(ours: float, theirs: float) -> Judgement:
    return judge(retrieval(answered(0, ours)), retrieval(answered(1, theirs)), CLIENTS)


@pytest.mark.parametrize(
    ("ours", "override", "action", "is_promoted"),
    [
        (0.6, None, "promoted", True),
        (0.6, "needless", "promoted", True),
        (0.3, None, "refused", False),
        (0.3, "agreed", "overridden", True),
    ],
)
def test_judgement_and_override_decide(ours: float, override: str | None, action: str, *, is_promoted: bool) -> None:
    decision = _decide(judgement(ours, 0.3), "zero shot", override)
    assert (decision.action, decision.is_promoted) == (action, is_promoted)
    assert ("promoted all the same: agreed" in decision.reason) == (action == "overridden")


def test_harm_to_one_client_is_overridden_with_that_said() -> None:
    before = answered(1, 0.4)
    after = np.maximum(before, answered(2, 0.5))
    after[CLIENTS["cobre"]] = 0
    decision = _decide(judge(retrieval(after), retrieval(before), CLIENTS), "champion version 1", "it leaves us")
    assert "cobre falls from" in decision.reason
    assert decision.reason.endswith("promoted all the same: it leaves us")
