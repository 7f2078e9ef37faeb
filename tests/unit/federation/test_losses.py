from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from federation.errors import ShapeError
from federation.losses import contrastive_loss


def unit(rows: int, seed: int) -> torch.Tensor:
    return functional.normalize(torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_distinct_names_give_plain_symmetric_infonce() -> None:
    image, text, scale = unit(5, 0), unit(5, 1), torch.tensor(10.0)
    logits = scale * image @ text.T
    labels = torch.arange(5)
    plain = (functional.cross_entropy(logits, labels) + functional.cross_entropy(logits.T, labels)) / 2
    assert float(contrastive_loss(image, text, scale, labels)) == pytest.approx(float(plain), rel=1e-5)


def test_products_of_one_name_are_positives_of_each_other() -> None:
    """Four products of one name, all alike: nothing can be told apart, and nothing must be."""
    same = unit(1, 0).repeat(4, 1)
    loss = contrastive_loss(same, same, torch.tensor(50.0), torch.zeros(4, dtype=torch.int64))
    assert float(loss) == pytest.approx(math.log(4), rel=1e-5)


def test_loss_does_not_depend_on_the_order_of_the_batch() -> None:
    image, text, names = unit(6, 0), unit(6, 1), torch.tensor([0, 1, 1, 2, 3, 3])
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    scale = torch.tensor(14.0)
    shuffled = contrastive_loss(image[order], text[order], scale, names[order])
    assert float(shuffled) == pytest.approx(float(contrastive_loss(image, text, scale, names)), rel=1e-5)


def test_batches_of_different_shape_are_refused() -> None:
    with pytest.raises(ShapeError):
        contrastive_loss(unit(3, 0), unit(4, 0), torch.tensor(1.0), torch.arange(3))
