"""Gauges by name, help and samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from prometheus_client.core import GaugeMetricFamily

Labels = TypeVar("Labels", bound=tuple[str, ...])
PREFIX = "tejido_"


def gauge(name: str, meaning: str, value: float | None) -> GaugeMetricFamily:
    """One number; None where it is not known, which leaves the gauge without a sample."""
    family = GaugeMetricFamily(PREFIX + name, meaning)
    if value is not None and not math.isnan(value):
        family.add_metric((), value)
    return family


def gauges(name: str, meaning: str, labels: tuple[str, ...], samples: Mapping[Labels, float]) -> GaugeMetricFamily:
    """One number for each combination of labels; what is no number is left out."""
    family = GaugeMetricFamily(PREFIX + name, meaning, labels=labels)
    for key, value in samples.items():
        if not math.isnan(value):
            family.add_metric(key, value)
    return family


def seconds_of(text: str | None) -> float | None:
    """An ISO 8601 time as seconds since 1970."""
    return datetime.fromisoformat(text).timestamp() if text else None
