#!/usr/bin/env bash
# As the official image: a first start makes the cluster, with the superuser's password from POSTGRES_PASSWORD_FILE.
set -euo pipefail
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 -U "${POSTGRES_USER:-postgres}" --pwfile="$POSTGRES_PASSWORD_FILE" -D "$PGDATA"
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
fi
exec "$@" -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp
