"""`tejido catalog`: the catalogue's pipeline as one command, and its steps as Airflow runs them."""
