"""The operators' mutations: promote a model version, and roll back."""

from __future__ import annotations

import strawberry

from api.arguments import checked_reason
from api.errors import ArgumentInvalid
from api.schema.model_types import Promotion, Rollback
from api.schema.operating import Request, done
from api.schema.permissions import operation

MAX_VERSION_CHARS = 40


async def promote_model(
    info: Request, version: str = "challenger", reason: str | None = None, override: bool = False
) -> Promotion:
    """Judge a version, and make it the champion if it has earned it."""
    if not 0 < len(version) <= MAX_VERSION_CHARS:
        raise ArgumentInvalid("version names none.", hint="Give a number or an alias: see modelVersions.")
    said = checked_reason(reason) if reason is not None else None
    if override and said is None:
        raise ArgumentInvalid("override lacks its reason.", hint="Say why the version is promoted all the same.")
    why, remark = (said, None) if override else (None, said)
    return Promotion.of(
        await done(info, lambda o, actor: o.promote(actor, version=version, override=why, remark=remark))
    )


async def roll_back_model(info: Request, reason: str, to: str | None = None) -> Rollback:
    """Put an earlier champion back, and its index."""
    said = checked_reason(reason)
    if to is not None and not to.isdigit():
        raise ArgumentInvalid("to is no version.", hint="Give the number of a version that was champion.")
    return Rollback.of(await done(info, lambda o, actor: o.roll_back(actor, reason=said, to=to)))


@strawberry.type
class ModelMutations:
    """The part of the root that is about models."""

    promote_model: Promotion = operation(
        resolver=promote_model,
        description="Compare a version (number or alias) with the champion on the test set, and make it the champion "
        "if it finds more and harms no client. `reason` is written down; with `override` it is promoted whatever the "
        "test says. Its index is built by `tejido index build`.",
    )
    roll_back_model: Rollback = operation(
        resolver=roll_back_model,
        description="Make the champion before (or `to`, which was one) the champion again, and its index live if it is "
        "still there.",
    )
