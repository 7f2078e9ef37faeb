"""Bodies of S3 objects, read whole or again.

boto retries requests, never a body: neither one that breaks off, nor one that is not what the headers said because the
object was replaced between the two (a server that opens its file after it has answered; the longer file is then cut to
the shorter one's length, without an error).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, IncompleteReadError, ResponseStreamingError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

PIECE_BYTES = 2**20
MD5 = re.compile(r'"([0-9a-f]{32})"')


class BodyDiffers(BotoCoreError):
    """A body is not the one whose hash its headers gave."""

    fmt = "the body has the MD5 {found}, its ETag is {expected}"


read_again = retry(
    retry=retry_if_exception_type((BodyDiffers, ResponseStreamingError, IncompleteReadError)),
    stop=stop_after_attempt(5),
    wait=wait_random_exponential(multiplier=0.1, max=2),
    reraise=True,
)
"""Call again what reads a body, up to five times within a few seconds."""


def pieces(answer: GetObjectOutputTypeDef) -> Iterator[bytes]:
    """The body of an answer to GetObject, at most 1 MiB at a time.

    Raises:
        BodyDiffers: after the last piece, when they are together not what the ETag says. What was uploaded in parts, or
            is encrypted with a key of its own, has no ETag that could tell.
    """
    expected = _md5(answer)
    found = hashlib.md5(usedforsecurity=False)
    for piece in answer["Body"].iter_chunks(PIECE_BYTES):
        found.update(piece)
        yield piece
    if expected is not None and found.hexdigest() != expected:
        raise BodyDiffers(found=found.hexdigest(), expected=expected)


def _md5(answer: GetObjectOutputTypeDef) -> str | None:
    """The MD5 of what was put, where S3 defines the ETag to be that."""
    match = MD5.fullmatch(answer.get("ETag", ""))
    own_key = answer.get("SSECustomerAlgorithm") or answer.get("ServerSideEncryption", "AES256") != "AES256"
    return match.group(1) if match and not own_key else None
