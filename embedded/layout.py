"""Which services a stack consists of, where each listens, and who is told what."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace

from core.environment import write_environment
from core.names import PLATFORM_BUCKETS, checked_client_name, client_bucket_name
from embedded.airflow import AirflowDatabase, AirflowHome, AirflowProcess, airflow_environment, airflow_processes
from embedded.api import Api
from embedded.catalogue import CatalogueStores
from embedded.clientapps import ClientApps
from embedded.coordinator import Coordinator
from embedded.environments import (
    api_env_path,
    bundle_key_path,
    client_env_path,
    client_environment,
    platform_env_path,
    write_buckets,
    write_first_policy,
)
from embedded.errors import ClientsInvalid
from embedded.gate import Gate
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

Take = Callable[[str, int], Port]


@dataclass(frozen=True)
class Parts:
    """What to start besides the stores, which everything needs."""

    mlflow: bool = True
    airflow: bool = True
    federation: bool = True
    api: bool = True
    gate: str = ""
    """Address at which clients on other machines reach the SuperLink's Fleet API; "": none does."""


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
            write_first_policy(self.state, bucket.name)
            write_environment(client_env_path(self.state, bucket.name), client_environment(self.state, bucket))
        values = _platform_values(self.state, by_slug)
        write_environment(platform_env_path(self.state), values)
        write_environment(api_env_path(self.state), {**values, "postgres_dsn": _postgres(by_slug).api_dsn})

    def store_of(self, client: str) -> ObjectStore:
        """The S3 server of a client."""
        (found,) = (s for s in self.services if isinstance(s, ObjectStore) and s.owner == client_bucket_name(client))
        return found

    def of_client(self, client: str) -> tuple[Service, ...]:
        """The services of one client alone, in the order in which they start."""
        slugs = (f"s3-{client_bucket_name(client)}", f"supernode-{client}", f"clientapps-{client}")
        return tuple(service for service in self.services if service.slug in slugs)

    def runs(self, client: str) -> bool:
        """Whether the client's SuperNode is one of these services."""
        return any(isinstance(service, SuperNode) for service in self.of_client(client))

    @property
    def superlink(self) -> SuperLink | None:
        """Flower's end of the coordinator, where it is one of the parts."""
        return next((service for service in self.services if isinstance(service, SuperLink)), None)

    def with_client(self, name: str, ports: Ports, *, is_elsewhere: bool = False) -> Layout:
        """The same with one more client, whose services listen on ports that are free now; see `lay_out`."""
        taken: list[Port] = []

        def take(service: str, preferred: int) -> Port:
            taken.append(ports.take(service, preferred))
            return taken[-1]

        place = len(self.clients)
        services: list[Service] = [_client_store(self.state, name, place, take)]
        if self.superlink and not is_elsewhere:
            services += _client_nodes(self.state, name, place, self.superlink, take)
        return replace(
            self,
            clients=(*self.clients, name),
            services=(*self.services, *services),
            ports=(*self.ports, *taken),
        )

    def without_client(self, name: str) -> Layout:
        """The same without one client's services."""
        gone = self.of_client(name)
        return replace(
            self,
            clients=tuple(client for client in self.clients if client != name),
            services=tuple(service for service in self.services if service not in gone),
        )


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


def lay_out(
    state: StateFolder, clients: Sequence[str], parts: Parts, ports: Ports, *, elsewhere: Container[str] = ()
) -> Layout:
    """Choose ports and put the services together; starts nothing.

    Args:
        state: of the stack.
        clients: their names.
        parts: which services besides the stores.
        ports: chooses.
        elsewhere: clients whose SuperNodes and ClientApps somebody else runs; their S3 servers are here all the same.

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
    stores += [_client_store(state, name, i, port) for i, name in enumerate(names)]
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
        superlink = SuperLink(state=state, port=port("Flower SuperLink", 8000))
        runs_port, settings = port("Coordinator", 9190), platform_env_path(state)
        services += [superlink, Coordinator(superlink=superlink, port=runs_port, platform_env=settings)]
        if parts.gate:
            services.append(Gate(state=state, host=parts.gate, port=port("Gate", 8443), superlink=superlink))
        for i, name in enumerate(names):
            services += () if name in elsewhere else _client_nodes(state, name, i, superlink, port)
    if parts.api:
        services.append(Api(state=state, port=port("API", 8800), api_env=api_env_path(state)))
    return Layout(state, names, tuple(services), tuple(steps), tuple(taken))


def _client_store(state: StateFolder, name: str, place: int, take: Take) -> ObjectStore:
    owner = client_bucket_name(name)
    return ObjectStore(state=state, port=take(f"S3 of {owner}", 9011 + place), owner=owner)


def _client_nodes(
    state: StateFolder, name: str, place: int, superlink: SuperLink, take: Take
) -> tuple[SuperNode, ClientApps]:
    node_port = take(f"Flower SuperNode of {name}", 9094 + place)
    node = SuperNode(state=state, port=node_port, client=name, superlink=superlink)
    apps_port = take(f"ClientApps of {name}", 9194 + place)
    return node, ClientApps(supernode=node, port=apps_port, client_env=client_env_path(state, name), needs=(node.slug,))


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
        "bundle_key_file": bundle_key_path(state),
    }
    for service in by_slug.values():
        match service:
            case Mlflow():
                values |= {"mlflow_uri": service.url, "mlflow_password_file": service.password_file}
            case AirflowProcess():
                values |= {"airflow_url": service.url, "airflow_password_file": service.home.password_file}
            case SuperLink():
                values["flwr_home"] = service.operator_home
            case Api():
                values["api_url"] = service.url
    return values
