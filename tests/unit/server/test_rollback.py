"""A rollback is quick, written down, and never mixes two models' vectors."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.errors import DatabaseUnreachable
from core.settings import Settings
from server.audit import actor_of, audited
from server.errors import ChampionChanged, ModelMissing, RollbackRefused
from server.indexing import require_champion
from server.rollback import follow, go_back
from server.tracking import CHAMPION, PREVIOUS
from tests.unit.server.registry import FakeIndex, FakeRegistry, FakeTrail, index_of, model


@pytest.fixture
def registry() -> FakeRegistry:
    """Version 1 was champion, 2 is, 3 never was."""
    versions = {"1": model("1", promoted="true"), "2": model("2", promoted="true"), "3": model("3")}
    return FakeRegistry(versions, {PREVIOUS: "1", CHAMPION: "2"})


def test_previous_champion_is_back_and_the_trail_says_who_did_it_and_why(registry: FakeRegistry) -> None:
    trail = FakeTrail()
    champion, target = go_back(registry, trail, actor="ana", reason="finds shoes for dresses", to=PREVIOUS)
    assert (champion.version, target.version) == ("2", "1")
    assert registry.aliases == {CHAMPION: "1", PREVIOUS: "2"}
    said = {"action": "rolled_back", "actor": "ana", "from": "2", "to": "1", "reason": "finds shoes for dresses"}
    assert trail.rows == [said]


def test_champion_s_alias_moves_first_so_that_whoever_is_interrupted_has_rolled_back(registry: FakeRegistry) -> None:
    go_back(registry, FakeTrail(), actor="ana", reason="why", to=PREVIOUS)
    assert registry.moved == [(CHAMPION, "1"), (PREVIOUS, "2")]


def test_rollback_of_a_rollback_is_the_state_before(registry: FakeRegistry) -> None:
    before, trail = dict(registry.aliases), FakeTrail()
    for _ in range(2):
        go_back(registry, trail, actor="ana", reason="why", to=PREVIOUS)
    assert registry.aliases == before
    assert len(trail.rows) == 2


def test_what_cannot_be_written_down_is_not_done(registry: FakeRegistry) -> None:
    with pytest.raises(DatabaseUnreachable):
        go_back(registry, FakeTrail(is_down=True), actor="ana", reason="why", to=PREVIOUS)
    assert registry.moved == []


def test_what_was_written_down_and_failed_is_written_down_too(registry: FakeRegistry) -> None:
    registry.fails_at, trail = CHAMPION, FakeTrail()
    with pytest.raises(ConnectionError):
        go_back(registry, trail, actor="ana", reason="why", to=PREVIOUS)
    assert [row["action"] for row in trail.rows] == ["rolled_back", "failed"]
    assert trail.rows[1]["reason"] == "rolled_back failed: MLflow is gone."


@pytest.mark.parametrize(("to", "reason"), [("2", "is the champion already"), ("3", "never was the champion")])
def test_rollback_is_no_way_around_the_promotion(registry: FakeRegistry, to: str, reason: str) -> None:
    with pytest.raises(RollbackRefused, match=reason):
        go_back(registry, FakeTrail(), actor="ana", reason="why", to=to)
    assert registry.moved == []


def test_version_that_the_trail_knows_as_champion_can_come_back_whatever_its_tags_say(registry: FakeRegistry) -> None:
    trail = FakeTrail()
    with audited(trail, "overridden", actor="ana", from_version="2", to_version="3", reason="why"):
        pass
    go_back(registry, trail, actor="ana", reason="why", to="3")
    assert registry.aliases[CHAMPION] == "3"


def test_without_a_previous_champion_there_is_nothing_to_go_back_to(registry: FakeRegistry) -> None:
    del registry.aliases[PREVIOUS]
    with pytest.raises(ModelMissing):
        go_back(registry, FakeTrail(), actor="ana", reason="why", to=PREVIOUS)


def test_retired_index_of_the_same_model_and_catalogue_is_live_again() -> None:
    index = FakeIndex([index_of("2", 8, state="live"), index_of("1", 7)])
    after = follow(index, model("1"), "v1")
    assert (after.state, after.version, after.model_version) == ("made live again", 7, "1")
    assert [(version.id, version.state) for version in index.all] == [(8, "retired"), (7, "live")]


@pytest.mark.parametrize(
    "kept",
    [
        [index_of("1", 7, catalogue="v0")],
        [index_of("1", 7, state="building")],
        [index_of("3", 7)],
        [],
    ],
)
def test_index_that_does_not_fit_stays_retired_and_the_live_one_answers_with_its_own_model(kept: list[object]) -> None:
    index = FakeIndex([index_of("2", 8, state="live"), *kept])  # type: ignore[list-item]
    after = follow(index, model("1"), "v1")
    assert (after.state, after.version, after.model_version) == ("behind", 8, "2")
    assert "still answered by index 8 of model version 2" in str(after)
    assert "tejido index build" in str(after)


def test_index_that_already_is_the_champion_s_stays() -> None:
    index = FakeIndex([index_of("1", 7, state="live"), index_of("1", 6)])
    assert follow(index, model("1"), "v1").state == "live already"


def test_index_that_a_build_has_dropped_meanwhile_is_no_error() -> None:
    index = FakeIndex([index_of("2", 8, state="live"), index_of("1", 7)], drops=7)
    assert follow(index, model("1"), "v1").state == "behind"


def test_index_of_a_version_that_was_rolled_back_while_it_was_built_does_not_go_live(registry: FakeRegistry) -> None:
    require_champion(registry, "2")
    go_back(registry, FakeTrail(), actor="ana", reason="why", to=PREVIOUS)
    with pytest.raises(ChampionChanged, match="Version 1 became the champion"):
        require_champion(registry, "2")


def test_without_any_index_the_answer_says_how_to_get_one() -> None:
    after = follow(FakeIndex(), model("1"), None)
    assert after.state == "none"
    assert "tejido index build" in str(after)


def test_actor_is_who_the_settings_name_or_the_user_of_the_machine(tmp_path: Path) -> None:
    assert actor_of(Settings(actor="ana", state_dir=tmp_path)) == "ana"
    assert "@" in actor_of(Settings(state_dir=tmp_path))
    in_a_pipeline = Settings(state_dir=tmp_path, progress_key="tejido:progress:manual__1")
    assert actor_of(in_a_pipeline).endswith(", manual__1")
