from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from federation.errors import ShapeError
from federation.losses import contrastive_loss


def unit(rows: int, seed: int) -> torch.Tensor:
    return functional.normalize(torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed)), dim=-1)


def same(names: list[int]) -> torch.Tensor:
    return torch.tensor([[a == b for b in names] for a in names])


def test_distinct_names_give_plain_symmetric_infonce() -> None:
    image, text, scale = unit(5, 0), unit(5, 1), torch.tensor(10.0)
    logits = scale * image @ text.T
    labels = torch.arange(5)
    plain = (functional.cross_entropy(logits, labels) + functional.cross_entropy(logits.T, labels)) / 2
    assert float(contrastive_loss(image, text, scale, same([0, 1, 2, 3, 4]))) == pytest.approx(float(plain), rel=1e-5)


def test_products_of_one_name_are_positives_of_each_other() -> None:
    """Four products of one name, all alike: nothing can be told apart, and nothing must be."""
    alike = unit(1, 0).repeat(4, 1)
    loss = contrastive_loss(alike, alike, torch.tensor(50.0), same([0, 0, 0, 0]))
    assert float(loss) == pytest.approx(math.log(4), rel=1e-5)


def test_each_direction_spreads_over_its_own_positives() -> None:
    """Picture 0 is described by both texts, picture 1 by its own alone: written out, row by row."""
    image, text, scale = unit(2, 0), unit(2, 1), torch.tensor(3.0)
    positives = torch.tensor([[True, True], [False, True]])
    rows, columns = (torch.log_softmax(scale * m, dim=1) for m in (image @ text.T, text @ image.T))
    by_image = -((rows[0, 0] + rows[0, 1]) / 2 + rows[1, 1]) / 2
    by_text = -(columns[0, 0] + (columns[1, 0] + columns[1, 1]) / 2) / 2
    expected = float((by_image + by_text) / 2)
    assert float(contrastive_loss(image, text, scale, positives)) == pytest.approx(expected, rel=1e-5)


def test_loss_does_not_depend_on_the_order_of_the_batch() -> None:
    image, text, positives = unit(6, 0), unit(6, 1), same([0, 1, 1, 2, 3, 3])
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    scale = torch.tensor(14.0)
    shuffled = contrastive_loss(image[order], text[order], scale, positives[order][:, order])
    assert float(shuffled) == pytest.approx(float(contrastive_loss(image, text, scale, positives)), rel=1e-5)


def test_batches_of_different_shape_are_refused() -> None:
    with pytest.raises(ShapeError):
        contrastive_loss(unit(3, 0), unit(4, 0), torch.tensor(1.0), same([0, 1, 2]))
    with pytest.raises(ShapeError):
        contrastive_loss(unit(3, 0), unit(3, 0), torch.tensor(1.0), same([0, 1]))
