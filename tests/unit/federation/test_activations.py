from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from catalog.product import Product
from federation import activations
from federation.activations import FeatureCache, cache_folder
from federation.features import FeatureSource
from federation.presets import load_preset


def keys(count: int, salt: str = "") -> list[str]:
    return [hashlib.sha256(f"{salt}{i}".encode()).hexdigest() for i in range(count)]


def values(count: int, seed: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal((count, 4)).astype(np.float32)


def test_features_survive_in_the_folder_rounded_alike_before_and_after(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "image", width=4)
    cache.add(keys(3), values(3))
    cold = cache.get(keys(3))
    cache.flush()
    warm = FeatureCache(tmp_path, "image", width=4)
    np.testing.assert_array_equal(warm.get(keys(3)), cold)
    assert keys(1)[0] in warm
    assert keys(1, "other")[0] not in warm


def test_torn_or_changed_chunk_is_dropped_with_a_word(tmp_path: Path) -> None:
    for salt in ("a", "b", "c"):
        cache = FeatureCache(tmp_path, "image", width=4)
        cache.add(keys(5, salt), values(5))
        cache.flush()
    torn, changed, _ = sorted(tmp_path.glob("image-*"))
    torn.write_bytes(torn.read_bytes()[:-3])
    data = bytearray(changed.read_bytes())
    data[-1] ^= 1
    changed.write_bytes(bytes(data))
    with capture_logs() as logs:
        left = FeatureCache(tmp_path, "image", width=4)
    assert len(left) == 5
    assert len(logs) == 2
    assert not torn.exists()
    assert not changed.exists()


def test_oldest_chunks_make_room(tmp_path: Path) -> None:
    for age, salt in enumerate(("old", "middle", "new")):
        cache = FeatureCache(tmp_path, "image", width=4, max_rows=8)
        cache.add(keys(4, salt), values(4))
        cache.flush()
        for path in tmp_path.glob("image-*"):
            os.utime(path, (path.stat().st_mtime - 10 + age,) * 2)
    left = FeatureCache(tmp_path, "image", width=4, max_rows=8)
    assert len(left) == 8
    assert keys(1, "old")[0] not in left
    assert keys(1, "new")[0] in left


def test_folders_of_replaced_bases_are_removed(tmp_path: Path) -> None:
    preset = load_preset("tiny")
    for name in ("tiny-aaaa", "tiny-bbbb", "lite-cccc"):
        (tmp_path / "aurora" / name).mkdir(parents=True)
    folder = cache_folder(tmp_path, "aurora", preset)
    left = {path.name for path in folder.parent.iterdir()}
    assert folder.name in left
    assert "lite-cccc" in left
    assert len(left) == 1 + activations.KEPT_BASES


def test_towers_are_not_loaded_when_everything_is_cached(tmp_path: Path, products: list[Product]) -> None:
    preset = load_preset("tiny")
    first = FeatureSource(preset, root=tmp_path, owner="aurora")
    cold = first.of(products)
    assert first.towers.are_loaded
    second = FeatureSource(preset, root=tmp_path, owner="aurora")
    warm = second.of(iter(products))
    assert not second.towers.are_loaded
    np.testing.assert_array_equal(cold.images, warm.images)
    np.testing.assert_array_equal(cold.texts, warm.texts)
    assert cold.titles == warm.titles


def test_products_keep_their_order_and_share_their_captions(tmp_path: Path, products: list[Product]) -> None:
    features = FeatureSource(load_preset("tiny"), root=tmp_path, owner="aurora").of(products)
    assert features.ids.tolist() == [product.id for product in products]
    assert len(features.titles) == 6
    assert [features.titles[i] for i in features.names] == [p.product_display_name for p in products]


def test_owners_do_not_share_features(tmp_path: Path, products: list[Product]) -> None:
    preset = load_preset("tiny")
    FeatureSource(preset, root=tmp_path, owner="aurora").of(products)
    other = FeatureSource(preset, root=tmp_path, owner="boreal")
    with pytest.raises(KeyError):
        other._images.get([products[0].image_sha256])
