"""`tejido failures`: DAG runs that failed."""
