from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from catalog.product import Product
from federation import activations
from federation.activations import ActivationCache, cache_folder
from federation.features import UNREADABLE, FeatureSource, ProductFeatures
from federation.presets import load_preset
from tests.models import tiny_spec


def keys(count: int, salt: str = "") -> list[str]:
    return [hashlib.sha256(f"{salt}{i}".encode()).hexdigest() for i in range(count)]


def values(count: int, *shape: int, seed: int = 0) -> list[activations.Row]:
    return list(np.random.default_rng(seed).standard_normal((count, *(shape or (4,)))).astype(np.float32))


def same(first: list[activations.Row], second: list[activations.Row]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_activations_survive_in_the_folder_rounded_alike_before_and_after(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path, "image-features")
    cache.add(keys(3), values(3))
    cold = cache.get(keys(3))
    cache.flush()
    warm = ActivationCache(tmp_path, "image-features")
    assert same(warm.get(keys(3)), cold)
    assert keys(1)[0] in warm
    assert keys(1, "other")[0] not in warm


def test_rows_keep_their_own_shapes(tmp_path: Path) -> None:
    rows = [*values(2, 3, 5), *values(1, 7, 5)]
    cache = ActivationCache(tmp_path, "text-block-1")
    cache.add(keys(3), rows)
    cache.flush()
    found = ActivationCache(tmp_path, "text-block-1").get(keys(3))
    assert [row.shape for row in found] == [(3, 5), (3, 5), (7, 5)]
    np.testing.assert_allclose(found[2], rows[2], atol=1e-2)


def test_cuts_do_not_meet_each_other(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path, "image-block-1")
    cache.add(keys(1), values(1))
    cache.flush()
    for kind in ("image-block-14", "image-block", "image-features"):
        assert len(ActivationCache(tmp_path, kind)) == 0


def test_torn_or_changed_chunk_is_dropped_with_a_word(tmp_path: Path) -> None:
    for salt in ("a", "b", "c"):
        cache = ActivationCache(tmp_path, "image-features")
        cache.add(keys(5, salt), values(5))
        cache.flush()
    torn, changed, _ = sorted(tmp_path.glob("image-*"))
    torn.write_bytes(torn.read_bytes()[:-3])
    data = bytearray(changed.read_bytes())
    data[-1] ^= 1
    changed.write_bytes(bytes(data))
    with capture_logs() as logs:
        left = ActivationCache(tmp_path, "image-features")
    assert len(left) == 5
    assert len(logs) == 2
    assert not torn.exists()
    assert not changed.exists()


def test_oldest_chunks_make_room(tmp_path: Path) -> None:
    def cache() -> ActivationCache:
        return ActivationCache(tmp_path, "image-features", max_bytes=20_000)

    for age, salt in enumerate(("old", "middle", "new")):
        newest = cache()
        newest.add(keys(40, salt), values(40, 100))
        newest.flush()
        for path in tmp_path.glob("image-*"):
            os.utime(path, (path.stat().st_mtime - 10 + age,) * 2)
    left = cache()
    assert len(left) == 80
    assert keys(1, "old")[0] not in left
    assert keys(1, "new")[0] in left
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 20_000


def test_folders_of_replaced_bases_are_removed(tmp_path: Path) -> None:
    preset = load_preset("tiny")
    for name in ("tiny-aaaa", "tiny-bbbb", "lite-cccc"):
        (tmp_path / "aurora" / name).mkdir(parents=True)
    folder = cache_folder(tmp_path, "aurora", preset)
    left = {path.name for path in folder.parent.iterdir()}
    assert folder.name in left
    assert "lite-cccc" in left
    assert len(left) == 1 + activations.KEPT_BASES


def rows_of(features: ProductFeatures) -> list[activations.Row]:
    return [row for part in (*features.images, features.texts) for row in part.rows]


@pytest.mark.parametrize("part", [{"trainable": "heads"}, {"trainable": "lora"}, {"trainable": "full"},
                                  {"trainable": "full", "image_blocks": -1, "text_blocks": -1}])  # fmt: skip
def test_towers_are_not_loaded_when_everything_is_cached(
    part: dict[str, object], tmp_path: Path, products: list[Product]
) -> None:
    first = FeatureSource(tiny_spec(**part), root=tmp_path, owner="aurora")
    cold = first.of(products, views=2, with_templates=True)
    assert first.towers.are_loaded
    second = FeatureSource(tiny_spec(**part), root=tmp_path, owner="aurora")
    warm = second.of(iter(products), views=2, with_templates=True)
    assert not second.towers.are_loaded
    assert same(rows_of(cold), rows_of(warm))
    assert cold.titles == warm.titles


def test_products_keep_their_order_and_share_their_captions(tmp_path: Path, products: list[Product]) -> None:
    features = FeatureSource(tiny_spec(), root=tmp_path, owner="aurora").of(products)
    assert features.ids.tolist() == [product.id for product in products]
    assert len(features.titles) == 6
    assert [features.titles[i] for i in features.names] == [p.product_display_name for p in products]


def test_product_whose_picture_cannot_be_read_is_left_out_and_counted(tmp_path: Path, products: list[Product]) -> None:
    broken = replace(products[3], image=b"no picture", image_sha256="0" * 64)
    features = FeatureSource(tiny_spec(), root=tmp_path, owner="aurora").of([*products[:3], broken, *products[4:]])
    assert features.skipped == {UNREADABLE: 1}
    assert len(features) == len(features.images[0]) == len(products) - 1
    assert products[3].id not in features.ids


def test_views_differ_from_the_picture_and_are_the_same_every_time(tmp_path: Path, products: list[Product]) -> None:
    spec = tiny_spec(trainable="full", image_blocks=-1)
    first = FeatureSource(spec, root=tmp_path / "a", owner="aurora").of(products[:4], views=3)
    again = FeatureSource(spec, root=tmp_path / "b", owner="aurora").of(products[:4], views=3)
    assert same(rows_of(first), rows_of(again))
    assert first.images[0].rows[0].dtype == np.uint8
    assert not same(list(first.images[0].rows), list(first.images[2].rows))


def test_owners_do_not_share_activations(tmp_path: Path, products: list[Product]) -> None:
    FeatureSource(tiny_spec(), root=tmp_path, owner="aurora").of(products)
    other = FeatureSource(tiny_spec(), root=tmp_path, owner="boreal")
    with pytest.raises(KeyError):
        other._images.get([products[0].image_sha256])
