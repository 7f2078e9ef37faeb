"""What one DAG makes and another waits for."""

from __future__ import annotations

from airflow.sdk import Asset

CATALOGUE = Asset(name="catalogue", uri="tejido://catalogue")
"""The live catalogue: `catalog_etl` publishes it, `federated_finetune` trains on it."""
CHAMPION = Asset(name="champion", uri="tejido://champion")
"""The model that serves: `federated_finetune` promotes it, `index_catalog` embeds the catalogue with it."""
