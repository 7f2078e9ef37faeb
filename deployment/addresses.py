"""Where services find each other inside the containers' networks; docker-compose.yaml names them the same."""

from __future__ import annotations

POSTGRES = "postgres:5432"
VALKEY = "valkey:6379"
BROKER = "broker:6379"
STORE = "http://store:9000"
MLFLOW = "http://mlflow:5000"
AIRFLOW = "http://airflow-apiserver:8080"
API = "http://api:8800"
SUPERLINK = "superlink:8000"


def gate(client: str) -> str:
    """The only way between a client's network and the platform's."""
    return f"gate-{client}"


def store_through_gate(client: str) -> str:
    """Where the platform writes a client's partition."""
    return f"http://{gate(client)}:9000"


def own_store(client: str) -> str:
    """Where a client itself finds its object store."""
    return f"http://store-{client}:9000"
