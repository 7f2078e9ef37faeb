"""Make the challenger the champion, if it has earned it: judgement.py has the rule, rollback.py the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from catalog.audit import Action
from core.progress import NoProgress, Progress
from core.settings import Settings
from federation.evaluation import Retrieval
from server.audit import Trail, actor_of, audited, open_trail
from server.court import Court
from server.judgement import Judgement, judge
from server.notices import post_notice
from server.tracking import CHALLENGER, CHAMPION, PREVIOUS, ModelVersion, Tracker


def promote(
    settings: Settings,
    *,
    version: str = CHALLENGER,
    override: str | None = None,
    remark: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compare a version with the champion on the live catalogue's test set and move the alias if it has earned it.

    Without a champion the comparison is with the same model before training (zero shot).

    Args:
        settings: where MLflow and the catalogue are.
        version: alias or number.
        override: why an operator promotes a version that was refused; recorded with the version.
        remark: what the operator says of the decision, whatever it is; recorded likewise.
        progress: told while the gallery is encoded.

    Returns:
        ``version`` (the champion now, or the challenger that was not promoted), ``alias``, ``promoted``, ``reason``,
        ``interval``, ``clients`` (each one's own held-out recall), and recall@10 of both with gallery and queries.

    Raises:
        ModelMissing: there is no such version.
        ModelDamaged: one of the two was changed after it was registered.
        DatabaseUnreachable: the decision could not be written down, so no alias was moved.
    """
    tracker = Tracker.of(settings)
    challenger, champion = tracker.require(version), tracker.find(CHAMPION)
    court = Court(settings, tracker, progress or NoProgress())
    if champion and champion.version == challenger.version:
        retrieval = court.retrieval(challenger)
        return _answer(challenger, CHAMPION, "it is the champion already", retrieval, retrieval, None, promoted=False)
    ours = court.retrieval(challenger)
    theirs = court.retrieval(champion) if champion else court.zero_shot(challenger)
    judgement = judge(ours, theirs, court.queries_of_clients(challenger))
    against = f"champion version {champion.version}" if champion else "zero shot"
    decision = _decide(judgement, against, override, remark=remark)
    with open_trail(settings) as trail:
        _carry_out(decision, tracker, trail, actor=actor_of(settings), challenger=challenger, champion=champion)
    _notify(settings, decision, challenger)
    alias = CHAMPION if decision.is_promoted else CHALLENGER
    return _answer(challenger, alias, decision.reason, ours, theirs, judgement, promoted=decision.is_promoted)


@dataclass(frozen=True)
class _Decision:
    action: Action
    judgement: Judgement
    reason: str

    @property
    def is_promoted(self) -> bool:
        return self.action != "refused"


def _decide(judgement: Judgement, against: str, override: str | None, *, remark: str | None = None) -> _Decision:
    reason = judgement.reason(against) + (f"; {remark}" if remark else "")
    if judgement.is_earned:
        return _Decision("promoted", judgement, reason)
    if override:
        return _Decision("overridden", judgement, f"{reason}; promoted all the same: {override}")
    return _Decision("refused", judgement, reason)


def _carry_out(
    decision: _Decision,
    tracker: Tracker,
    trail: Trail,
    *,
    actor: str,
    challenger: ModelVersion,
    champion: ModelVersion | None,
) -> None:
    """Write the decision down, leave it with the version, and move the aliases if it is a promotion."""
    before = champion.version if champion else None
    about = {"actor": actor, "reason": decision.reason, "to_version": challenger.version}
    with audited(trail, decision.action, from_version=before, **about):
        _record(tracker, challenger, decision.judgement, decision.reason, promoted=decision.is_promoted)
        if not decision.is_promoted:
            return
        if champion:
            tracker.set_alias(PREVIOUS, champion.version)
        tracker.set_alias(CHAMPION, challenger.version)


def _notify(settings: Settings, decision: _Decision, version: ModelVersion) -> None:
    outcome = "is the champion now" if decision.is_promoted else "was not promoted"
    about = {"model": version.name, "version": version.version, "run_id": version.run_id, "action": decision.action}
    post_notice(settings, f"Model version {version.version} {outcome}: {decision.reason}.", **about)


def _record(tracker: Tracker, version: ModelVersion, judgement: Judgement, reason: str, *, promoted: bool) -> None:
    """Leave the judgement with the version: the decision must be there to read when its figures no longer are."""
    tracker.tag_version(version.version, {"judgement": reason, "promoted": str(promoted).lower()})
    whole = {"reason": reason, "promoted": promoted, **judgement.as_dict()}
    tracker.log_json(version.run_id, "judgement.json", whole)


def _answer(
    version: ModelVersion,
    alias: str,
    reason: str,
    ours: Retrieval,
    theirs: Retrieval,
    judgement: Judgement | None,
    *,
    promoted: bool,
) -> dict[str, Any]:
    return {
        "version": version.version,
        "alias": alias,
        "promoted": promoted,
        "reason": reason,
        **(judgement.as_dict() if judgement else {"interval": None, "clients": [], "unjudged": {}}),
        "recall_at_10": {
            "gallery": ours.gallery,
            "queries": ours.queries,
            "challenger": ours.recall_at_10,
            "incumbent": theirs.recall_at_10,
            "champion": ours.recall_at_10 if alias == CHAMPION else theirs.recall_at_10,
        },
    }
