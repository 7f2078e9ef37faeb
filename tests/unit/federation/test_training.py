from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from catalog.product import Product
from federation.batches import Batches
from federation.config import FederationConfig
from federation.encoding import LazyTowers
from federation.errors import NothingToLearn
from federation.features import FeatureSource, ProductFeatures
from federation.losses import contrastive_loss
from federation.model import Model, initial_model
from federation.schedule import learning_rate_share
from federation.spec import ModelSpec
from federation.training import LocalUpdate, Trainer, train
from tests.models import tiny_config

CONFIG = tiny_config(local_epochs=30, batch_size=16, dropout=0.1)


@pytest.fixture(scope="module")
def towers() -> LazyTowers:
    return LazyTowers(ModelSpec.of(CONFIG).preset)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def features(cache: Path, towers: LazyTowers, products: list[Product]) -> ProductFeatures:
    return FeatureSource(ModelSpec.of(CONFIG), root=cache, owner="aurora", towers=towers).of(products)


def model_of(config: FederationConfig, towers: LazyTowers) -> Model:
    return initial_model(ModelSpec.of(config), towers)


def trained(
    config: FederationConfig, features: ProductFeatures, towers: LazyTowers, *, seed: int = 1, round_number: int = 1
) -> LocalUpdate:
    return train(model_of(config, towers), features, config=config, round_number=round_number, seed=seed)


def test_training_lowers_the_loss(features: ProductFeatures, towers: LazyTowers) -> None:
    one, many = (trained(dataclasses.replace(CONFIG, local_epochs=n), features, towers) for n in (1, 30))
    assert many.loss < one.loss
    assert many.examples == len(features)


def test_repeated_round_gives_the_same_delta_and_another_seed_does_not(
    features: ProductFeatures, towers: LazyTowers
) -> None:
    config = dataclasses.replace(CONFIG, local_epochs=2)
    first, again, other = (trained(config, features, towers, seed=seed).delta for seed in (1, 1, 2))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["heads.image.weight"], other["heads.image.weight"])


@pytest.mark.parametrize("trainable", ["heads", "lora", "full"])
@pytest.mark.parametrize("head", ["linear", "residual"])
def test_every_trained_tensor_moves_and_no_other(
    trainable: str, head: str, cache: Path, towers: LazyTowers, products: list[Product]
) -> None:
    config = dataclasses.replace(CONFIG, trainable=trainable, head=head, local_epochs=2)
    source = FeatureSource(ModelSpec.of(config), root=cache, owner="aurora", towers=towers)
    model = model_of(config, towers)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    update = train(model, source.of(products), config=config, round_number=1, seed=0)
    moved = {name for name, p in model.named_parameters() if not torch.equal(p.detach(), before[name])}
    assert moved == set(update.delta) == set(model.trained())
    assert any(not name.startswith("heads.") for name in moved) == (trainable != "heads")


@pytest.mark.parametrize("trainable", ["lora", "full"])
def test_training_leaves_the_shared_towers_as_they_were(
    trainable: str, cache: Path, towers: LazyTowers, products: list[Product]
) -> None:
    stages = [*towers().image.modules(), *towers().text.modules()]
    before = [p.detach().clone() for stage in stages for p in stage.parameters()]
    config = dataclasses.replace(CONFIG, trainable=trainable, local_epochs=2)
    source = FeatureSource(ModelSpec.of(config), root=cache, owner="aurora", towers=towers)
    trained(config, source.of(products), towers)
    after = [p.detach() for stage in stages for p in stage.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("trainable", ["heads", "full"])
def test_pieces_of_a_batch_give_the_gradients_of_the_whole(
    trainable: str, cache: Path, towers: LazyTowers, products: list[Product]
) -> None:
    config = dataclasses.replace(CONFIG, trainable=trainable, batch_size=32, dropout=0.3)
    features = FeatureSource(ModelSpec.of(config), root=cache, owner="aurora", towers=towers).of(products)
    model = model_of(config, towers)
    batch = next(iter(Batches(features, config, torch.Generator().manual_seed(0))))
    gradients = []
    for size in (len(batch), 7):
        # Plain SGD of rate 0: only the gradients matter here. Without dropout, which is drawn piece by piece.
        trainer = Trainer(model, dataclasses.replace(config, dropout=0.0, micro_batch=size), seed=0)
        trainer.optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        loss = trainer._step(batch)
        gradients.append((loss, {name: p.grad.clone() for name, p in model.trained().items() if p.grad is not None}))
    (whole_loss, whole), (loss, pieces) = gradients
    assert loss == pytest.approx(whole_loss, rel=1e-5)
    assert set(whole) == set(pieces) == set(model.trained())
    for name, gradient in whole.items():
        torch.testing.assert_close(pieces[name], gradient, atol=1e-6, rtol=1e-3)


def test_pieces_see_the_same_dropout_in_both_passes(features: ProductFeatures, towers: LazyTowers) -> None:
    config = dataclasses.replace(CONFIG, micro_batch=8, dropout=0.5, local_epochs=15)
    first, again = (trained(config, features, towers) for _ in range(2))
    np.testing.assert_array_equal(first.delta["heads.image.weight"], again.delta["heads.image.weight"])
    assert first.loss < trained(dataclasses.replace(config, local_epochs=1), features, towers).loss


def test_kept_moments_make_two_rounds_the_same_as_one_optimiser(features: ProductFeatures, towers: LazyTowers) -> None:
    config = dataclasses.replace(CONFIG, local_epochs=2, dropout=0.0, batch_size=len(features), optimiser_state="kept")
    apart = model_of(config, towers)
    first = train(apart, features, config=config, round_number=1, seed=0)
    train(apart, features, config=config, round_number=2, seed=1, moments=first.moments)
    whole = model_of(config, towers)
    trainer = Trainer(whole, config, seed=0)
    for number in (1, 2):
        trainer.train_round(features, round_number=number)
    for name, array in whole.state().items():
        np.testing.assert_allclose(apart.state()[name], array, atol=1e-5)


def test_moments_are_forgotten_unless_the_run_keeps_them(features: ProductFeatures, towers: LazyTowers) -> None:
    config = dataclasses.replace(CONFIG, local_epochs=1)
    assert trained(config, features, towers).moments == {}


def test_fedprox_keeps_the_update_smaller_the_stronger_it_pulls(features: ProductFeatures, towers: LazyTowers) -> None:
    norms = [
        float(np.sqrt(sum((d**2).sum() for d in update.delta.values())))
        for mu in (0.0, 1.0, 100.0)
        for update in [trained(dataclasses.replace(CONFIG, proximal_mu=mu, weight_decay=0.0), features, towers)]
    ]
    assert norms[0] > norms[1] > norms[2]


def test_fedprox_pulls_in_every_batch_not_only_in_the_first(features: ProductFeatures, towers: LazyTowers) -> None:
    """Against the term written out in the loss: the first steps start at w₀, where it vanishes."""
    config = dataclasses.replace(CONFIG, proximal_mu=0.5, dropout=0.0, weight_decay=0.0, local_epochs=3, batch_size=10)
    ours = trained(config, features, towers, seed=3)
    model = model_of(config, towers)
    anchor = [p.detach().clone() for p in model.trained().values()]
    optimizer = torch.optim.AdamW(list(model.trained().values()), lr=config.learning_rate, weight_decay=0.0)
    generator = torch.Generator().manual_seed(3)
    start = model.state()
    for _ in range(config.local_epochs):
        for batch in Batches(features, config, generator):
            image, text = model.embed_images(batch.images()), model.embed_texts(batch.texts())
            loss = contrastive_loss(image, text, model.heads.scale, batch.positives)
            squares = [((p - a) ** 2).sum() for p, a in zip(model.trained().values(), anchor, strict=True)]
            loss = loss + config.proximal_mu / 2 * torch.stack(squares).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    for name, array in model.state().items():
        np.testing.assert_allclose(ours.delta[name], array - start[name], atol=2e-4)


def test_single_product_has_nothing_to_contrast_with(cache: Path, towers: LazyTowers, products: list[Product]) -> None:
    alone = FeatureSource(ModelSpec.of(CONFIG), root=cache, owner="aurora", towers=towers).of(products[:1])
    with pytest.raises(NothingToLearn):
        trained(CONFIG, alone, towers)


def test_last_batch_of_one_product_is_left_out(features: ProductFeatures, towers: LazyTowers) -> None:
    update = trained(dataclasses.replace(CONFIG, batch_size=29, local_epochs=1), features, towers)
    assert np.isfinite(update.loss)


def test_learning_rate_warms_up_then_falls_on_a_cosine_over_the_rounds() -> None:
    config = tiny_config(rounds=11, warmup_rounds=3, final_learning_rate=0.1)
    shares = [learning_rate_share(config, round_number=r) for r in range(1, 12)]
    assert shares[:4] == [0.25, 0.5, 0.75, 1.0]
    assert shares[3:] == sorted(shares[3:], reverse=True)
    assert shares[-1] == pytest.approx(0.1)
    assert [learning_rate_share(tiny_config(rounds=3), round_number=r) for r in (1, 2, 3)] == [1.0, 1.0, 1.0]


def test_smaller_learning_rate_of_a_late_round_gives_a_smaller_update(
    features: ProductFeatures, towers: LazyTowers
) -> None:
    config = dataclasses.replace(CONFIG, rounds=10, final_learning_rate=0.01, local_epochs=1)
    early, late = (trained(config, features, towers, round_number=r).delta["heads.image.weight"] for r in (1, 10))
    assert np.abs(late).max() < 0.05 * np.abs(early).max()


def test_template_captions_and_views_are_drawn_as_often_as_asked(
    cache: Path, towers: LazyTowers, products: list[Product]
) -> None:
    config = dataclasses.replace(CONFIG, views=3, template_captions=0.4, batch_size=30)
    source = FeatureSource(ModelSpec.of(config), root=cache, owner="aurora", towers=towers)
    features = source.of(products, views=3, with_templates=True)
    generator = torch.Generator().manual_seed(0)
    batches = [batch for _ in range(40) for batch in Batches(features, config, generator)]
    views = np.concatenate([batch.views for batch in batches])
    captions = np.concatenate([batch.captions for batch in batches])
    assert np.bincount(views, minlength=3).min() > 0.25 * len(views)
    assert np.mean(captions >= len(features.titles)) == pytest.approx(0.4, abs=0.05)


def test_picture_s_template_and_title_are_both_its_positives(
    cache: Path, towers: LazyTowers, products: list[Product]
) -> None:
    config = dataclasses.replace(CONFIG, template_captions=0.5, batch_size=30)
    source = FeatureSource(ModelSpec.of(config), root=cache, owner="aurora", towers=towers)
    features = source.of(products, with_templates=True)
    batch = next(iter(Batches(features, config, torch.Generator().manual_seed(0))))
    colours = [products[row].base_colour for row in batch.rows]
    expected = [[a == b for b in colours] for a in colours]  # here a colour is a title is a template
    assert batch.positives.tolist() == expected
