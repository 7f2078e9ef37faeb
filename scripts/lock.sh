#!/usr/bin/env bash
# Resolves pyproject.toml and requirements/airflow.in into lock files with hashes that a plain `pip install -r` reads.
# Without UPGRADE=1 the versions of the present lock files are kept where they still fit.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3.11}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Without what lock_lines.py puts in place of pip's choice: pip would find that it fits with nothing.
versions() { grep -o '^[^ #]*==[^ ]*' "$1" | grep -v '^graphene=='; }

resolve() { # environment, lock file, requirement…
    local constraints=()
    if [ -s "$2" ] && [ -z "${UPGRADE:-}" ]; then
        versions "$2" > "$work/present.txt"
        constraints=(-c "$work/present.txt")
    fi
    "$1/bin/pip" install -q -q --dry-run --ignore-installed --report "$work/report.json" "${constraints[@]}" "${@:3}"
    "$PYTHON" scripts/lock_lines.py "$work/report.json" "$2"
}

"$PYTHON" -m venv "$work/venv"
resolve "$work/venv" requirements/platform.lock .
versions requirements/platform.lock > "$work/platform.txt"
resolve "$work/venv" requirements/dev.lock '.[dev]' -c "$work/platform.txt"
"$PYTHON" scripts/lock_lines.py --without requirements/platform.lock requirements/dev.lock
resolve "$work/venv" requirements/airflow.lock -r requirements/airflow.in
