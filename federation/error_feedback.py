"""Error feedback (Seide et al. 2014, Karimireddy et al. 2019): what an encoding leaves out is sent next time."""

from __future__ import annotations

from federation.tensors import Tensors, add, subtract
from federation.wire import ArrayRecord, from_record, to_record


def compress(delta: Tensors, residual: Tensors, *, encoding: str) -> tuple[ArrayRecord, Tensors]:
    """Encode a delta together with what earlier ones left out.

    Args:
        delta: what was learned in this round.
        residual: what the last round's encoding left out; empty in the first.
        encoding: fp32, fp16 or int8.

    Returns:
        What to send, and what it leaves out in turn: ``decoded + left_out == delta + residual``.
    """
    wanted = add(delta, residual) if residual else delta
    record = to_record(wanted, encoding=encoding)
    return record, subtract(wanted, from_record(record, like=wanted, encoding=encoding))
