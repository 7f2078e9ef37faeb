"""Error feedback (Seide et al. 2014, Karimireddy et al. 2019): what an encoding leaves out is sent next time."""

from __future__ import annotations

import math

from federation.privacy.clipping import clipped_record
from federation.tensors import Tensors, add, subtract
from federation.wire import ArrayRecord, from_record, to_record


def compress(
    delta: Tensors, residual: Tensors, *, encoding: str, bound: float = math.inf
) -> tuple[ArrayRecord, Tensors]:
    """Encode a delta together with what earlier ones left out.

    Args:
        delta: what was learned in this round.
        residual: what the last round's encoding left out; empty in the first.
        encoding: fp32, fp16 or int8.
        bound: the longest that the decoded update may be, in L2 norm over all tensors.

    Returns:
        What to send, and what it leaves out in turn: ``decoded + left_out == delta + residual``, where the right side
        is clipped to ``bound``. What clipping takes off is gone: carried on, it would be longer in every round.
    """
    wanted = add(delta, residual) if residual else delta
    if math.isfinite(bound):
        # After the residual is added: clipped before, both together could be longer than the bound.
        record, wanted = clipped_record(wanted, bound=bound, encoding=encoding)
    else:
        record = to_record(wanted, encoding=encoding)
    return record, subtract(wanted, from_record(record, like=wanted, encoding=encoding))
