from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from federation.encoding import encode_images, encode_texts
from federation.errors import ImageError
from federation.preprocessing import decode, pixels, square
from federation.presets import load_preset
from federation.spec import INPUT_CUT
from federation.torch_fixes import prepare_for_open_clip
from federation.towers import Hidden, Tower, Towers, build_towers
from federation.towers.attention import SplitAttention
from federation.towers.stages import run, run_by_length

RED = Image.new("RGB", (60, 80), "red")
TEXTS = ["red shirt", "a much longer caption about a pair of blue running shoes for men"]


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def pictures(size: int) -> list[NDArray[np.uint8]]:
    return [pixels(encoded(image), size=size) for image in (RED, Image.new("RGB", (60, 80), "blue"))]


@pytest.fixture(scope="module")
def lite() -> Towers:
    return build_towers(load_preset("lite"))


@pytest.fixture(scope="module")
def tiny() -> Towers:
    return build_towers(load_preset("tiny"))


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
    a, b, c = encode_texts(lite, ["black leather shoes", "dark footwear made of leather", "a bowl of soup"], 6)

    def cosine(x: NDArray[np.float16], y: NDArray[np.float16]) -> float:
        x, y = x.astype(np.float32), y.astype(np.float32)
        return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))

    assert cosine(a, b) > cosine(a, c) + 0.2


def test_lite_features_have_the_preset_s_widths(lite: Towers) -> None:
    assert encode_images(lite, pictures(96), 16)[0].shape == (1280,)
    assert encode_texts(lite, ["red shirt"], 6)[0].shape == (384,)


def test_features_do_not_depend_on_what_else_is_in_the_batch(lite: Towers, tiny: Towers) -> None:
    for towers, text_blocks, image_blocks, size in ((lite, 6, 16, 96), (tiny, 1, 1, 32)):
        both, alone = encode_texts(towers, TEXTS, text_blocks), encode_texts(towers, TEXTS[:1], text_blocks)
        np.testing.assert_allclose(both[0], alone[0], atol=2e-3)
        shown = pictures(size)
        both, alone = encode_images(towers, shown, image_blocks), encode_images(towers, shown[:1], image_blocks)
        np.testing.assert_allclose(both[0], alone[0], atol=1e-2)


def every_cut(tower: Tower) -> range:
    return range(INPUT_CUT, len(tower.blocks) + 1)


@pytest.mark.parametrize("name", ["lite", "tiny"])
def test_a_tower_gives_the_same_features_wherever_it_is_cut(name: str, lite: Towers, tiny: Towers) -> None:
    towers = {"lite": lite, "tiny": tiny}[name]
    shown = Hidden(torch.from_numpy(np.stack(pictures(towers.preset.image_size))))
    for tower, inputs in ((towers.image, shown), (towers.text, towers.tokens(TEXTS))):
        with torch.inference_mode():
            whole = run(tower.modules(), inputs).values
            for cut in every_cut(tower):
                assert len(tower.below(cut)) + len(tower.above(cut)) == len(tower.modules())
                parts = run(tower.above(cut), run(tower.below(cut), inputs)).values
                torch.testing.assert_close(parts, whole, atol=1e-4, rtol=1e-4)


def test_stages_compute_what_open_clip_computes() -> None:
    """Our own way through open_clip's transformers against its own forward, projections included."""
    prepare_for_open_clip()
    from open_clip.model import CustomTextCLIP

    from federation.towers.clip import text_tower, vision_tower
    from federation.towers.pixels import Normalise

    torch.manual_seed(0)
    model = CustomTextCLIP(
        embed_dim=24,
        vision_cfg={"image_size": 32, "layers": 3, "width": 64, "head_width": 32, "patch_size": 8},
        text_cfg={"context_length": 16, "vocab_size": 100, "width": 32, "heads": 2, "layers": 2},
        quick_gelu=True,
    ).eval()
    tokens = torch.tensor([[98, 5, 7, 99, 0, 0], [98, 5, 7, 8, 9, 99]])
    padded = torch.nn.functional.pad(tokens, (0, 10))
    shown = torch.from_numpy(np.stack(pictures(32)))
    normalise = Normalise((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    with torch.inference_mode():
        image, text = model.encode_image(normalise(shown)), model.encode_text(padded)
        visual_projection = model.visual.proj
        vision, words = vision_tower(model.visual, normalise), text_tower(model.text)
        ours = run(vision.modules(), Hidden(shown)).values @ visual_projection
        torch.testing.assert_close(ours, image, atol=1e-5, rtol=1e-4)
        ours = run(words.modules(), Hidden(tokens, torch.tensor([4, 6]))).values @ model.text.text_projection
        torch.testing.assert_close(ours, text, atol=1e-5, rtol=1e-4)


def test_split_attention_is_the_fused_one() -> None:
    fused = nn.MultiheadAttention(16, 4, batch_first=True).eval()
    nn.init.normal_(fused.in_proj_bias)
    nn.init.normal_(fused.out_proj.bias)
    split = SplitAttention.of(fused)
    states = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    causal = torch.full((5, 5), float("-inf")).triu(1)
    for mask in (None, causal):
        expected = fused(states, states, states, attn_mask=mask, need_weights=False)[0]
        torch.testing.assert_close(split(states, causal=mask is not None), expected, atol=1e-6, rtol=1e-5)


def test_tiny_towers_are_the_same_every_time(tiny: Towers) -> None:
    again = build_towers(load_preset("tiny"))
    shown = pictures(32)
    np.testing.assert_array_equal(encode_images(tiny, shown, 1), encode_images(again, shown, 1))
    np.testing.assert_array_equal(encode_texts(tiny, ["red"], 1), encode_texts(again, ["red"], 1))


def test_texts_run_by_length_are_the_texts_run_together(tiny: Towers) -> None:
    texts = [f"{'very ' * (number % 7)}red shirt number {number}" for number in range(50)]
    hidden = tiny.tokens(texts)
    with torch.inference_mode():
        together = run(tiny.text.modules(), hidden).values
        torch.testing.assert_close(
            run_by_length(tiny.text.modules(), hidden, rows_at_once=8), together, atol=1e-5, rtol=1e-4
        )
