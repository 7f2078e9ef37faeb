"""`tejido metrics serve`: what Prometheus reads of rounds, models, the index and clients."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.errors import BadOption
from cli.output import stderr
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.monitoring.exporter import Exporter, sources_of
from server.monitoring.exporter import serve as serve_metrics

PORT = 9400


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 for any that is free.")] = PORT,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Serve /metrics to whoever bears the token in TEJIDO_METRICS_TOKEN_FILE, until Ctrl-C."""
    settings = platform_settings(state)
    settings.required("metrics_token_file")
    token = settings.metrics_token() or ""
    exporter = Exporter(sources_of(settings))

    def ready(listening_at: int) -> None:
        stderr.print(f"Metrics at http://{host}:{listening_at}/metrics", highlight=False, soft_wrap=True)

    try:
        serve_metrics(exporter, host=host, port=port, token=token, ready=ready)
    except OSError as error:
        raise BadOption(
            f"Nothing can listen at {host}:{port}: {error.strerror}.", hint="Give another --host or --port."
        ) from None
