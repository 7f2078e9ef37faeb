"""Which services a stack consists of, where each listens, and who is told what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.environment import write_environment
from core.names import PLATFORM_BUCKETS, checked_client_name
from embedded.airflow import AirflowDatabase, AirflowHome, AirflowProcess, airflow_environment, airflow_processes
from embedded.api import Api
from embedded.catalogue import CatalogueStores
from embedded.clientapps import ClientApps
from embedded.environments import (
    api_env_path,
    client_env_path,
    client_environment,
    platform_env_path,
    write_buckets,
)
from embedded.errors import ClientsInvalid
from embedded.mlflow import Mlflow
from embedded.object_store import ObjectStore
from embedded.ports import Port, Ports
from embedded.postgres import Postgres
from embedded.service import Service
from embedded.state import StateFolder
from embedded.superlink import CONNECTION, SuperLink
from embedded.supernode import SuperNode
from embedded.valkey import Valkey
from security.artifact_keys import ArtifactKeys


@dataclass(frozen=True)
class Parts:
    """What to start besides the stores, which everything needs."""

    mlflow: bool = True
    airflow: bool = True
    federation: bool = True
    api: bool = True


@dataclass(frozen=True)
class Layout:
    """Every service and step of one stack."""

    state: StateFolder
    clients: tuple[str, ...]
    services: tuple[Service, ...]
    steps: tuple[CatalogueStores | AirflowDatabase, ...]
    ports: tuple[Port, ...]

    def write_files(self) -> None:
        """Write the environment files and the clients' file."""
        by_slug = {service.slug: service for service in self.services}
        stores = {s.owner: s for s in self.services if isinstance(s, ObjectStore)}
        buckets = [stores[f"client-{client}"].client_bucket(client) for client in self.clients]
        write_buckets(self.state.run / "clients.json", buckets)
        write_buckets(self.state.run / "readers.json", [store.reader for store in stores.values()])
        for bucket in buckets:
            write_environment(client_env_path(self.state, bucket.name), client_environment(self.state, bucket))
        values = _platform_values(self.state, by_slug)
        write_environment(platform_env_path(self.state), values)
        write_environment(api_env_path(self.state), {**values, "postgres_dsn": _postgres(by_slug).api_dsn})


def check_clients(clients: Sequence[str]) -> tuple[str, ...]:
    """The names, if they can be used.

    Raises:
        ClientsInvalid: there is none, or one stands twice.
        ClientNameInvalid: one is no possible bucket name.
    """
    if not clients:
        raise ClientsInvalid(
            "There is no client.", hint="Give --clients 1 or more: each holds a part of the catalogue."
        )
    for name in clients:
        checked_client_name(name)
    if len(set(clients)) < len(clients):
        raise ClientsInvalid("Two clients have the same name.", hint="Name each client once.")
    return tuple(clients)


def lay_out(state: StateFolder, clients: Sequence[str], parts: Parts, ports: Ports) -> Layout:
    """Choose ports and put the services together; starts nothing.

    Raises:
        ClientsInvalid: see ``check_clients``.
        AirflowMissing: Airflow is wanted and its environment is not there.
        NoFreePort: see ``Ports.take``.
    """
    names = check_clients(clients)
    taken: list[Port] = []

    def port(service: str, preferred: int) -> Port:
        taken.append(ports.take(service, preferred))
        return taken[-1]

    postgres = Postgres(state=state, port=port("PostgreSQL", 15432))
    stores = [ObjectStore(state=state, port=port("S3", 9000))]
    stores += [
        ObjectStore(state=state, port=port(f"S3 of client-{name}", 9011 + i), owner=f"client-{name}")
        for i, name in enumerate(names)
    ]
    services: list[Service] = [postgres, Valkey(state=state, port=port("Valkey", 16379)), *stores]
    if parts.mlflow:
        database, artifacts = postgres.dsn("mlflow_db", driver="psycopg"), stores[0].bucket("mlflow")
        services.append(Mlflow(state=state, port=port("MLflow", 5001), database=database, artifacts=artifacts))
    steps: list[CatalogueStores | AirflowDatabase] = [_catalogue(postgres, stores)]
    if parts.airflow:
        home = AirflowHome(
            state=state,
            port=port("Airflow", 8080),
            database=postgres.dsn("airflow", driver="psycopg2"),
            platform_env=platform_env_path(state),
            venv=airflow_environment(),
        )
        steps.append(AirflowDatabase(home=home))
        services += airflow_processes(home)
    if parts.federation:
        superlink = SuperLink(state=state, port=port("Flower SuperLink", 8000), platform_env=platform_env_path(state))
        services.append(superlink)
        for i, name in enumerate(names):
            node_port = port(f"Flower SuperNode of {name}", 9094 + i)
            node = SuperNode(state=state, port=node_port, client=name, superlink=superlink)
            apps_port = port(f"ClientApps of {name}", 9194 + i)
            environment = client_env_path(state, name)
            services += [
                node,
                ClientApps(supernode=node, port=apps_port, client_env=environment, needs=(node.slug,)),
            ]
    if parts.api:
        services.append(Api(state=state, port=port("API", 8800), api_env=api_env_path(state)))
    return Layout(state, names, tuple(services), tuple(steps), tuple(taken))


def _catalogue(postgres: Postgres, stores: Sequence[ObjectStore]) -> CatalogueStores:
    platform, *clients = stores
    return CatalogueStores(
        dsn=postgres.dsn("catalog"),
        buckets=[*(platform.bucket(name) for name in PLATFORM_BUCKETS), *(s.bucket(s.owner) for s in clients)],
        needs=("postgres", *(store.slug for store in stores)),
    )


def _postgres(by_slug: dict[str, Service]) -> Postgres:
    postgres = by_slug["postgres"]
    if not isinstance(postgres, Postgres):
        raise TypeError("the database has another service's name")
    return postgres


def _platform_values(state: StateFolder, by_slug: dict[str, Service]) -> dict[str, object]:
    postgres, valkey, store = _postgres(by_slug), by_slug["valkey"], by_slug["s3-platform"]
    if not (isinstance(valkey, Valkey) and isinstance(store, ObjectStore)):
        raise TypeError("the stores have other services' names")
    values: dict[str, object] = {
        "state_dir": state.root,
        "cache_dir": state.root / "cache",
        "postgres_dsn": postgres.dsn("catalog"),
        "valkey_url": valkey.secret_url,
        "s3_endpoint": store.url,
        "s3_access_key": store.access_key,
        "s3_secret_key": store.secret_key,
        "clients_file": state.run / "clients.json",
        "readers_file": state.run / "readers.json",
        "superlink_connection": CONNECTION,
        "signing_key_dir": state.folder("secrets", "signing"),
        "artifact_keys_dir": ArtifactKeys.open(state.folder("secrets", "artifacts")).directory,
        "metrics_token_file": state.secret_file("metrics-token"),
    }
    for service in by_slug.values():
        match service:
            case Mlflow():
                values["mlflow_uri"] = service.url
            case AirflowProcess():
                values |= {"airflow_url": service.url, "airflow_password_file": service.home.password_file}
            case SuperLink():
                values["flwr_home"] = service.operator_home
            case Api():
                values["api_url"] = service.url
    return values
