"""The types of the operators' queries about models and indexes: versions, changes of the champion, a promotion."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import strawberry

from api.schema.permissions import operable
from catalog import audit, index

if TYPE_CHECKING:
    from server.overview import ModelView


@strawberry.type(description="A registered version of the model.")
class ModelVersion:
    """A version in the registry."""

    version: str = operable(description="Its number.")
    aliases: list[str] = operable(description="champion, challenger, previous, or none.")
    is_champion: bool = operable(description="Whether searches shall be answered by it.")
    preset: str = operable(description="The model that was trained.")
    content_hash: str = operable(description="SHA-256 over all that it consists of.")
    catalogue_version: str = operable(description="The catalogue that it learned from.")
    created_at: datetime = operable(description="When it was registered.")
    recall_at_10: float | None = operable(name="recallAt10", description="Recall@10 on test when it was registered.")
    zero_shot_recall_at_10: float | None = operable(
        name="zeroShotRecallAt10", description="The same before any training."
    )
    judgement: str | None = operable(description="Why it was promoted or refused; null: it was not judged yet.")
    run: str | None = operable(description="The run that made it, as `run(id:)` takes it.")

    @classmethod
    def of(cls, found: ModelView) -> ModelVersion:
        """The same, as GraphQL shows it."""
        model = found.model
        return cls(
            version=model.version,
            aliases=list(model.aliases),
            is_champion=found.is_champion,
            preset=model.preset,
            content_hash=model.content_hash,
            catalogue_version=model.catalogue_version,
            created_at=datetime.fromtimestamp(model.created_at_ms / 1000, UTC),
            recall_at_10=found.recall_at_10,
            zero_shot_recall_at_10=found.zero_shot_recall_at_10,
            judgement=model.tags.get("judgement"),
            run=model.tags.get("run_key"),
        )


@strawberry.type(description="How well filtered searches of one range of selectivity find what exact search finds.")
class RecallBucket:
    """One range."""

    share_up_to: float | None = operable(description="The filters let through at most this share; null: no filter.")
    searches: int = operable(description="Searches that were measured.")
    recall_at_10: float = operable(name="recallAt10", description="Share of exact search's ten nearest that they find.")
    short: int = operable(description="Searches that gave fewer products than there are.")


@strawberry.type(description="All products in the vector space of one model version.")
class IndexVersion:
    """A version of the index."""

    version: int = operable(description="Its number: the indexVersion of answers.")
    state: str = operable(description="building, verified, live (answers searches) or retired (can come back).")
    model_version: str = operable(description="The model version that made it.")
    model_hash: str = operable(description="Content hash of that model.")
    catalogue_version: str = operable(description="The catalogue whose products it holds.")
    dimension: int = operable(description="Length of its vectors.")
    products: int | None = operable(description="Products in it; null while they are being added.")
    added: int = operable(description="Vectors so far.")
    expected: int | None = operable(description="Vectors that it will have.")
    progress: float | None = operable(description="Of these the share that is there, 0 to 1.")
    recall_at_10: float | None = operable(
        name="recallAt10", description="Share of exact search's ten nearest that it finds; null until verified."
    )
    recall: list[RecallBucket] = operable(description="The same by how much a filter lets through.")
    created_at: datetime = operable(description="When it was begun.")
    live_at: datetime | None = operable(description="When it went live last.")

    @classmethod
    def of(cls, found: index.IndexVersion) -> IndexVersion:
        """The same, as GraphQL shows it."""
        return cls(
            version=found.id,
            state=found.state,
            model_version=found.model_version,
            model_hash=found.model_hash,
            catalogue_version=found.catalogue_version,
            dimension=found.dimension,
            products=found.products,
            added=found.added,
            expected=found.expected,
            progress=min(1.0, found.added / found.expected) if found.expected else None,
            recall_at_10=found.recall_at_10,
            recall=[
                RecallBucket(
                    share_up_to=bucket.share_up_to,
                    searches=bucket.searches,
                    recall_at_10=bucket.recall_at_10,
                    short=bucket.short,
                )
                for bucket in found.recall
            ],
            created_at=found.created_at,
            live_at=found.live_at,
        )


@strawberry.type(description="A promotion, a refusal or a rollback, as the trail has it; nobody can change it.")
class ModelChange:
    """A row of the trail."""

    at: datetime = operable(description="When.")
    actor: str = operable(description="Who.")
    action: str = operable(description="promoted, overridden, refused, rolled_back, or failed: the row before is void.")
    from_version: str | None = operable(description="The champion until then.")
    to_version: str = operable(description="The version that it is about.")
    reason: str = operable(description="Why.")

    @classmethod
    def of(cls, found: audit.ModelChange) -> ModelChange:
        """The same, as GraphQL shows it."""
        return cls(
            at=found.at,
            actor=found.actor,
            action=found.action,
            from_version=found.from_version,
            to_version=found.to_version,
            reason=found.reason,
        )


@strawberry.type(description="What came of a promotion.")
class Promotion:
    """The judgement on a version."""

    version: str = operable(description="The version that was judged.")
    promoted: bool = operable(description="Whether it became the champion.")
    reason: str = operable(description="Why, or why not.")
    recall_at_10: float = operable(name="recallAt10", description="Its recall@10 on the live catalogue's test set.")
    incumbent_recall_at_10: float = operable(
        name="incumbentRecallAt10", description="That of the champion until then, or of no training at all."
    )

    @classmethod
    def of(cls, found: dict[str, Any]) -> Promotion:
        """What `server.promotion.promote` returned, as GraphQL shows it."""
        recall = found["recall_at_10"]
        return cls(
            version=found["version"],
            promoted=found["promoted"],
            reason=found["reason"],
            recall_at_10=recall["challenger"],
            incumbent_recall_at_10=recall["incumbent"],
        )


@strawberry.type(description="What came of a rollback.")
class Rollback:
    """The champion that came back."""

    version: str = operable(description="The champion now.")
    was: str = operable(description="The champion until then.")
    index_state: str = operable(
        description="made live again, live already, behind (searches go on with the other model's index) or none."
    )
    index_version: int | None = operable(description="The index that answers searches now.")
    message: str = operable(description="The same in words, with what is to be done.")
    seconds: float = operable(description="Time that it took.")

    @classmethod
    def of(cls, found: dict[str, Any]) -> Rollback:
        """What `server.rollback.rollback` returned, as GraphQL shows it."""
        after = found["index"]
        return cls(
            version=found["version"],
            was=found["was"],
            index_state=after["state"],
            index_version=after["version"],
            message=after["message"],
            seconds=found["seconds"],
        )
