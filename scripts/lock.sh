#!/usr/bin/env bash
# Resolves pyproject.toml and requirements/airflow.in into lock files that a plain `pip install -r` reads.
# Without UPGRADE=1 the versions of the present lock files are kept where they still fit.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3.11}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

resolve() { # environment, lock file, requirement…
    local constraints=()
    [ -s "$2" ] && [ -z "${UPGRADE:-}" ] && constraints=(-c "$2")
    "$1/bin/pip" install -q -q --dry-run --ignore-installed --report "$work/report.json" "${constraints[@]}" "${@:3}"
    "$PYTHON" scripts/lock_lines.py "$work/report.json" "$2"
}

"$PYTHON" -m venv "$work/venv"
resolve "$work/venv" requirements/platform.lock .
resolve "$work/venv" requirements/dev.lock '.[dev]' -c requirements/platform.lock
"$PYTHON" scripts/lock_lines.py --without requirements/platform.lock requirements/dev.lock
resolve "$work/venv" requirements/airflow.lock -r requirements/airflow.in
