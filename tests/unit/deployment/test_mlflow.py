"""The file by which MLflow knows who may log in."""

from __future__ import annotations

import configparser

from deployment.mlflow import login_configuration


def test_mlflow_reads_from_its_file_what_was_meant() -> None:
    database = "postgresql+psycopg://mlflow:a%2Fb@/mlflow_db?host=%2Ftmp"
    parser = configparser.ConfigParser()
    parser.read_string(login_configuration(database, "50%(of)s-a-password"))
    read = dict(parser["mlflow"])
    assert (read["database_uri"], read["admin_password"]) == (database, "50%(of)s-a-password")
    assert read["default_permission"] == "READ"
