from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from federation.encoder import Encoder
from federation.errors import HeadsError, ImageError
from federation.heads import Heads, heads_from, initial_tensors
from federation.model import Towers, build_towers
from federation.preprocessing import decode, square
from federation.presets import load_preset
from federation.tensors import from_safetensors, to_safetensors

RED = Image.new("RGB", (60, 80), "red")


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


@pytest.fixture(scope="module")
def lite() -> Towers:
    return build_towers(load_preset("lite"))


def test_portrait_is_padded_with_white_and_nothing_is_cropped() -> None:
    shown = np.asarray(square(RED, 96))
    assert shown.shape == (96, 96, 3)
    assert shown[48, 2].tolist() == [255, 255, 255]
    assert shown[1, 48].tolist() == [255, 0, 0]
    assert shown[94, 48].tolist() == [255, 0, 0]


def test_transparency_becomes_white() -> None:
    clear = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    assert np.asarray(decode(encoded(clear))).min() == 255


@pytest.mark.parametrize("data", [b"", b"not a picture", encoded(RED, "JPEG")[:200], encoded(RED, "GIF")])
def test_bytes_that_are_no_whole_picture_are_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        decode(data)


def test_picture_beyond_25_megapixels_is_refused_before_it_unfolds() -> None:
    with pytest.raises(ImageError, match="At most 25 megapixels"):
        decode(encoded(Image.new("1", (6000, 5000))))


def test_lite_towers_know_what_words_mean(lite: Towers) -> None:
    """Real weights, not random ones: sentences that mean the same lie closer than others."""
    a, b, c = lite.encode_texts(["black leather shoes", "dark footwear made of leather", "a bowl of soup"])

    def cosine(
        x: np.ndarray[tuple[int], np.dtype[np.float32]], y: np.ndarray[tuple[int], np.dtype[np.float32]]
    ) -> float:
        return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))

    assert cosine(a, b) > cosine(a, c) + 0.2


def test_lite_features_have_the_preset_s_widths(lite: Towers) -> None:
    assert lite.encode_images([encoded(RED)]).shape == (1, 1280)
    assert lite.encode_texts(["red shirt"]).shape == (1, 384)


def test_features_do_not_depend_on_what_else_is_in_the_batch(lite: Towers) -> None:
    texts = ["red shirt", "a much longer caption about a pair of blue running shoes for men"]
    np.testing.assert_allclose(lite.encode_texts(texts)[0], lite.encode_texts(texts[:1])[0], atol=1e-4)
    images = [encoded(RED), encoded(Image.new("RGB", (60, 80), "blue"))]
    np.testing.assert_allclose(lite.encode_images(images)[0], lite.encode_images(images[:1])[0], atol=1e-3)


def test_tiny_towers_are_the_same_every_time() -> None:
    first, second = (build_towers(load_preset("tiny")) for _ in range(2))
    np.testing.assert_array_equal(first.encode_images([encoded(RED)]), second.encode_images([encoded(RED)]))
    np.testing.assert_array_equal(first.encode_texts(["red"]), second.encode_texts(["red"]))


def test_encoder_gives_unit_vectors_and_agrees_with_cached_features() -> None:
    preset = load_preset("tiny")
    encoder = Encoder.load("tiny", to_safetensors(initial_tensors(preset, seed=1)))
    pictures = [encoded(RED), encoded(Image.new("RGB", (60, 80), "blue"))]
    vectors = encoder.encode_images(pictures)
    assert vectors.shape == (2, encoder.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    rounded = encoder.towers().encode_images(pictures).astype(np.float16).astype(np.float32)
    np.testing.assert_allclose(encoder.embed_image_features(rounded), vectors, atol=1e-6)
    assert encoder.encode_texts(["red", "blue"]).shape == (2, encoder.dimension)


def test_heads_of_another_preset_are_refused() -> None:
    heads = to_safetensors(initial_tensors(load_preset("tiny"), seed=0))
    with pytest.raises(HeadsError, match="expects"):
        Encoder.load("lite", heads)


def test_damaged_heads_are_refused() -> None:
    preset = load_preset("tiny")
    with pytest.raises(HeadsError):
        from_safetensors(b"\x80\x04pickle")
    broken = initial_tensors(preset, seed=0)
    broken["log_scale"] = np.array(np.nan, np.float32)
    with pytest.raises(HeadsError, match="finite"):
        heads_from(preset, broken)


def test_temperature_stays_within_its_bounds() -> None:
    heads = Heads(load_preset("tiny"))
    heads.log_scale.data.fill_(50.0)
    assert float(heads.scale.detach()) == pytest.approx(100.0)
    heads.log_scale.data.fill_(-3.0)
    assert float(heads.scale.detach()) == 1.0
