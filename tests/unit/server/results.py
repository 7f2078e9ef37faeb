"""Results as the coordinator and the baselines give them, of any size."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text

from core.names import client_names
from server.reports import RoundReport


def run_result(clients: int = 3, rounds: int = 3, **changes: Any) -> dict[str, Any]:
    """A finished run, its last client rejected in the last round."""
    names = client_names(clients)
    reports = [
        _report(number, names, rejected=names[-1] if number == rounds else None) for number in range(1, rounds + 1)
    ]
    return {
        "run_id": "by-hand",
        "trainable_parameters": 1000,
        "whole_model_parameters": 100_000,
        "rounds": [report.as_dict() for report in reports],
        "chosen_round": rounds,
        "recall_at_10": {"gallery": 12_000, "queries": 1180, "zero_shot": 0.04, "challenger": 0.12},
        "zero_shot_val": {"recall_at_10": 0.05, "recall_by_client": dict.fromkeys(names, 0.05)},
    } | changes


def _report(number: int, names: list[str], *, rejected: str | None) -> RoundReport:
    counted = [name for name in names if name != rejected]
    return RoundReport(
        round=number,
        recall_at_10=0.05 + number / 100,
        recall_at_1=0.01,
        mrr=0.03,
        replies=len(counted),
        rejected=len(names) - len(counted),
        bytes_up=4000 * len(names),
        bytes_down=4000 * len(names),
        seconds=1.0,
        loss=math.nan,
        rejections=(f"{rejected}: Its norm is 9: too long.",) if rejected else (),
        asked=len(names),
        norms={name: 1.0 + i for i, name in enumerate(counted)},
        recall_by_client={name: 0.05 + number * i / 1000 for i, name in enumerate(names)},
    )


def baselines_result(clients: int = 3) -> dict[str, Any]:
    """What `compare_baselines` gives; the first client loses, the others win."""
    rows = [("federated", 0.12, [0.0, 0.0]), ("zero shot", 0.05, [0.05, 0.09]), ("centralised", 0.123, [-0.01, 0.004])]
    rows += [(name, 0.06, [0.04, 0.08]) for name in client_names(clients)]
    return {
        "gallery": 12_000,
        "queries": 1180,
        "contenders": [
            {"name": name, "recall_at_10": recall, "federated_gains": gains} for name, recall, gains in rows
        ],
        "clients": [
            {
                "client": name,
                "products": 100,
                "queries": 10 + i,
                "alone": 0.08,
                "federated": 0.06 if i == 0 else 0.11,
                "federated_gains": [-0.04, 0.01] if i == 0 else [0.01, 0.05],
            }
            for i, name in enumerate(client_names(clients))
        ],
    }


def texts(figure: Figure) -> list[str]:
    """All that is written in a figure."""
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text().strip()]
