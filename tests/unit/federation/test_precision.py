"""What serves may be rounded where that is faster; what trains never is."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from catalog.product import Product
from federation.encoder import Encoder
from federation.encoding import LazyTowers, encode_images, encode_texts
from federation.features import FeatureSource
from federation.model import initial_state
from federation.precision import Precision, Trial, agreement, measure
from federation.presets import load_preset
from federation.towers.serving import drawn
from federation.towers.stages import Hidden, run
from tests.models import tiny_spec, tiny_state

TITLES = ["red", "a much longer caption about a pair of blue running shoes for men"]


@pytest.mark.parametrize(
    ("float32_s", "bfloat16_s", "agrees", "chosen"),
    [
        (3.0, 1.0, 0.999, "bfloat16"),
        (1.0, 3.0, 0.999, "float32"),
        (1.1, 1.0, 0.999, "float32"),
        (3.0, 1.0, 0.98, "float32"),
        (3.0, 1.0, float("nan"), "float32"),
    ],
)
def test_bfloat16_is_taken_where_it_is_clearly_faster_and_agrees(
    float32_s: float, bfloat16_s: float, agrees: float, chosen: str
) -> None:
    assert Trial(float32_s, bfloat16_s, agrees).chosen == chosen


def test_a_trial_keeps_each_precision_s_best_time_and_compares_what_they_give() -> None:
    now = 0.0
    took: dict[Precision, Iterator[float]] = {"float32": iter([9, 5, 3, 4]), "bfloat16": iter([9, 1, 2, 7])}
    rows: dict[Precision, list[list[float]]] = {"float32": [[1, 2, 4], [1, 5, 0]], "bfloat16": [[1, 2, 4.1], [1, 5, 0]]}

    def features(precision: Precision) -> torch.Tensor:
        nonlocal now
        now += next(took[precision])
        return torch.tensor(rows[precision])

    trial = measure(features, clock=lambda: now)
    assert (trial.float32_s, trial.bfloat16_s, trial.chosen) == (3, 1, "bfloat16")
    assert 0.999 < trial.agreement < 1


def test_agreement_is_that_of_the_worst_row_and_what_all_features_share_does_not_count() -> None:
    ours, theirs = torch.tensor([[100.0, 101], [1, 2]]), torch.tensor([[101.0, 100], [1, 2]])
    assert agreement(ours, ours) == pytest.approx(1)
    assert agreement(ours, theirs) == pytest.approx(-1)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "auto"])
def test_lite_serves_in_any_precision_with_nearly_the_features_of_training(precision: str) -> None:
    preset = load_preset("lite")
    exact, served = LazyTowers(preset)(), LazyTowers(preset, serving=precision)()  # type: ignore[arg-type]
    if precision != "auto":
        assert served.precisions == (precision, precision)
    shown = list(drawn(96, 8, seed=1))
    for a, b in (
        (encode_images(exact, shown, 16), encode_images(served, shown, 16)),
        (encode_texts(exact, TITLES, 6), encode_texts(served, TITLES, 6)),
    ):
        found = agreement(torch.from_numpy(np.stack(a)), torch.from_numpy(np.stack(b)))
        assert found > (0.99999 if precision == "float32" else 0.99)
    assert exact.precisions is None


@pytest.mark.parametrize("name", ["lite", "tiny"])
def test_padding_that_is_cut_off_the_end_changes_nothing(name: str) -> None:
    """CLIP's mask is causal, MiniLM's leaves padding out: features of whole, padded texts are the oracle."""
    towers = LazyTowers(load_preset(name))()
    trimmed = towers.tokens(TITLES)
    assert trimmed.lengths is not None
    context = int(load_preset(name).open_clip["text_cfg"]["context_length"])
    assert trimmed.values.shape[1] < context or name == "tiny"
    one = towers.tokens(TITLES[:1])
    assert one.values.shape[1] == one.lengths[0] < context  # type: ignore[index]
    padded = torch.zeros(len(TITLES), context, dtype=torch.int64)
    padded[:, : trimmed.values.shape[1]] = trimmed.values
    with torch.inference_mode():
        whole = run(towers.text.modules(), Hidden(padded, trimmed.lengths)).values
        torch.testing.assert_close(run(towers.text.modules(), trimmed).values, whole, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(run(towers.text.modules(), one).values, whole[:1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("trainable", ["heads", "lora", "full"])
def test_a_trained_part_serves_in_bfloat16_and_a_picture_finds_itself(
    trainable: str, tmp_path: Path, products: list[Product]
) -> None:
    spec = tiny_spec(trainable=trainable)
    state = initial_state(spec, LazyTowers(spec.preset))
    exact = Encoder.load(spec, state, towers=LazyTowers(spec.preset))
    served = Encoder.load(spec, state, towers=LazyTowers(spec.preset, serving="bfloat16"))
    source = FeatureSource(spec, root=tmp_path, owner="coordinator", towers=served.towers)
    indexed = served.embed_images(source.of(products[:6]).images[0])
    asked = served.encode_images([product.image for product in products[:6]])
    np.testing.assert_allclose(asked, indexed, atol=1e-2)
    assert (asked @ indexed.T).argmax(axis=1).tolist() == list(range(6))
    assert (asked * exact.encode_images([product.image for product in products[:6]])).sum(axis=1).min() > 0.99
    assert (served.encode_texts(TITLES) * exact.encode_texts(TITLES)).sum(axis=1).min() > 0.99


def test_training_never_reads_what_serving_has_encoded(tmp_path: Path, products: list[Product]) -> None:
    spec = tiny_spec()
    served = FeatureSource(spec, root=tmp_path, owner="o", towers=LazyTowers(spec.preset, serving="bfloat16"))
    rounded = served.of(products[:6])
    kinds = {path.name.split(".")[0] for path in tmp_path.rglob("*.safetensors")}
    assert kinds == {"image-features-bfloat16", "text-features-bfloat16"}
    trained = FeatureSource(spec, root=tmp_path, owner="o").of(products[:6])
    alone = FeatureSource(spec, root=tmp_path / "alone", owner="o").of(products[:6])
    np.testing.assert_array_equal(trained.images[0].rows, alone.images[0].rows)
    np.testing.assert_array_equal(trained.texts.rows, alone.texts.rows)
    assert any((a != b).any() for a, b in zip(trained.images[0].rows, rounded.images[0].rows, strict=True))


def test_serving_reads_what_training_has_encoded_without_any_tower(tmp_path: Path, products: list[Product]) -> None:
    spec = tiny_spec()
    trained = FeatureSource(spec, root=tmp_path, owner="o").of(products[:6])
    for wanted in ("auto", "float32", "bfloat16"):
        towers = LazyTowers(spec.preset, serving=wanted)
        served = FeatureSource(spec, root=tmp_path, owner="o", towers=towers).of(products[:6])
        np.testing.assert_array_equal(served.images[0].rows, trained.images[0].rows)
        assert not towers.are_loaded


def test_float32_asked_for_by_name_reads_no_bfloat16(tmp_path: Path, products: list[Product]) -> None:
    spec = tiny_spec()
    FeatureSource(spec, root=tmp_path, owner="o", towers=LazyTowers(spec.preset, serving="bfloat16")).of(products[:6])
    towers = LazyTowers(spec.preset, serving="float32")
    FeatureSource(spec, root=tmp_path, owner="o", towers=towers).of(products[:6])
    assert towers.are_loaded


def test_towers_as_pretrained_are_given_back_once_the_serving_ones_stand() -> None:
    spec = tiny_spec(trainable="lora")
    towers = LazyTowers(spec.preset, serving="bfloat16")
    encoder = Encoder.load(spec, tiny_state(trainable="lora"), towers=towers)
    assert towers._exact is None
    assert encoder.encode_images([picture()]).shape == (1, encoder.dimension)


def picture() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (60, 80), "red").save(stream, "PNG")
    return stream.getvalue()
