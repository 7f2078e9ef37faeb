"""Structured logs: readable lines on a terminal, one JSON object a line elsewhere.

What a line is about stands in it as fields: ``run``, ``round``, ``attempt`` and ``client`` in a federation,
``request``, ``user`` and ``trace`` in the API. They are bound once, and every line below bears them.
"""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, TextIO, cast

import structlog

HIDDEN = "(hidden)"
SECRET_NAMES = re.compile(r"password|passwd|secret|token|authorization|credential|cookie|private", re.IGNORECASE)
SECRET_TEXTS = re.compile(
    r"\beyJ[\w-]+\.[\w-]+\.[\w-]+"  # a JWT
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"  # name and password in a URL
    r"|(?<=bearer )[\w.~+/=-]{8,}|(?<=password=)\S+",
    re.IGNORECASE,
)


def configure_logs(*, level: int = logging.INFO, also: Iterable[str] = ()) -> None:
    """Send structlog to stderr, so that stdout carries results only.

    Args:
        level: below it nothing is written.
        also: loggers of the standard library (a server's own) whose lines shall look like ours.
    """
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        without_secrets,
    ]
    is_for_people = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if is_for_people else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*before, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _StderrOfNow())),
        # A logger that was cached would keep what was configured before.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(cast("TextIO", _StderrOfNow()))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=[*before[:1], structlog.stdlib.add_logger_name, *before[1:]],
        )
    )
    for name in also:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False


def without_secrets(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A net below the rule that nothing secret is logged: hides what looks or is named like a secret."""
    for name, value in line.items():
        if SECRET_NAMES.search(name):
            line[name] = HIDDEN
        elif isinstance(value, str):
            line[name] = SECRET_TEXTS.sub(HIDDEN, value)
    return line


class _StderrOfNow(io.TextIOBase):
    """Looks stderr up anew each time: it may be replaced, and closed, while loggers live on."""

    def write(self, text: str, /) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Every line that is logged inside the block, here or below, bears these fields."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield
