#!/usr/bin/env bash
# Makes the environments named on the command line: platform (.venv), dev (its test and lint tools), airflow (.venv-airflow).
# An environment whose lock file has not changed since is left alone, so a second call costs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3.11}
TORCH=torch==2.13.0
# Lock files are whole and hold hashes: pip takes no other file than one that was locked, wherever it comes from.

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
install() { "$1/bin/pip" install -q -q --disable-pip-version-check "${@:2}"; }

require_python() {
    command -v "$PYTHON" > /dev/null || fail "$PYTHON was not found. Install Python 3.11, or name it: make PYTHON=/path/to/python3.11"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || fail "$PYTHON is not Python 3.11, which both environments are locked for."
    # Debian ships Python without ensurepip; the venv package brings it.
    "$PYTHON" -c 'import ensurepip' 2> /dev/null || scripts/apt.sh python3.11-venv
}

make_environment() { # folder, stamp, lock file…
    local folder=$1 stamp=$1/.ready-$2 wanted
    wanted=$(cat "${@:3}" scripts/setup.sh pyproject.toml | sha256sum)
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return 1
    require_python
    [ -x "$folder/bin/pip" ] || "$PYTHON" -m venv "$folder"
    wanted_stamp=$wanted
    return 0
}

for name in "$@"; do
    case $name in
    platform)
        make_environment .venv platform requirements/platform.lock || continue
        say "Setting up the platform in .venv (about 2.5 GB; a few minutes the first time) …"
        # torch first and alone: which build fits differs by machine, its version does not.
        install .venv "$TORCH"
        install .venv --no-deps -r requirements/platform.lock
        install .venv --no-deps -e .
        echo "$wanted_stamp" > .venv/.ready-platform ;;
    dev)
        make_environment .venv dev requirements/dev.lock || continue
        say "Adding test and lint tools to .venv …"
        install .venv --no-deps -r requirements/dev.lock
        echo "$wanted_stamp" > .venv/.ready-dev ;;
    airflow)
        make_environment .venv-airflow airflow requirements/airflow.lock || continue
        say "Setting up Airflow in .venv-airflow (about 300 MB) …"
        install .venv-airflow --no-deps -r requirements/airflow.lock
        echo "$wanted_stamp" > .venv-airflow/.ready-airflow ;;
    *) fail "unknown environment: $name (platform, dev, airflow)" ;;
    esac
done
