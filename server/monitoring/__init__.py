"""What a running platform says of its rounds, models, index and clients to Prometheus: read from where it is kept
anyway (checkpoints, MLflow, PostgreSQL, the SuperLink), so that nothing that trains has to wait for a scraper.
"""
