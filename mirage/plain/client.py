"""The client for scripts, notebooks and the command line."""

from pathlib import Path
from types import TracebackType
from typing import Self

from mirage.aio.account import AsyncAccount
from mirage.aio.admin import AsyncAdmin
from mirage.aio.client import AsyncClient
from mirage.aio.stats import AsyncStats
from mirage.credentials import CredentialStore
from mirage.plain.calls import Plain, blocking, each, waiting
from mirage.plain.datasets import Datasets
from mirage.plain.jobs import Job, Jobs
from mirage.plain.models import Models
from mirage.plain.notifications import Notifications
from mirage.plain.provenance import Provenance
from mirage.plain.studies import Studies, Study


class Account(Plain[AsyncAccount]):
    """The caller's own account."""

    me = blocking(AsyncAccount.me)
    update = blocking(AsyncAccount.update)
    profile = blocking(AsyncAccount.profile)
    update_profile = blocking(AsyncAccount.update_profile)
    change_password = blocking(AsyncAccount.change_password)
    sessions = blocking(AsyncAccount.sessions)
    end_session = blocking(AsyncAccount.end_session)
    stream_ticket = blocking(AsyncAccount.stream_ticket)
    api_keys = blocking(AsyncAccount.api_keys)
    create_api_key = blocking(AsyncAccount.create_api_key)
    delete_api_key = blocking(AsyncAccount.delete_api_key)
    export = blocking(AsyncAccount.export)
    delete = blocking(AsyncAccount.delete)


class Admin(Plain[AsyncAdmin]):
    """Everybody's accounts and jobs; every call needs the administrator's role."""

    users = blocking(AsyncAdmin.users)
    user = blocking(AsyncAdmin.user)
    create_user = blocking(AsyncAdmin.create_user)
    delete_user = blocking(AsyncAdmin.delete_user)
    deletions = blocking(AsyncAdmin.deletions)
    logs = blocking(AsyncAdmin.logs)
    activate = blocking(AsyncAdmin.activate)
    deactivate = blocking(AsyncAdmin.deactivate)
    set_role = blocking(AsyncAdmin.set_role)
    health = blocking(AsyncAdmin.health)
    verify_log = blocking(AsyncAdmin.verify_log)
    jobs = blocking(AsyncAdmin.jobs, each(Job))
    approve = blocking(AsyncAdmin.approve, Job)
    reject = blocking(AsyncAdmin.reject, Job)


class Stats(Plain[AsyncStats]):
    """Figures of what is the caller's own; for administrators, of everybody's."""

    dashboard = blocking(AsyncStats.dashboard)
    usage = blocking(AsyncStats.usage)
    performance = blocking(AsyncStats.performance)
    system = blocking(AsyncStats.system)


class Client(Plain[AsyncClient]):
    """A platform, as one user sees it. Works from any thread, also where an event loop runs already.

    ```python
    client = Client("http://localhost:8080").login("ada@example.org", password)
    synthetic = client.generate(frame, model="ctgan", rows=5000).dataframe()
    ```
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        store: CredentialStore | None = None,
        ca_file: str | Path | None = None,
    ) -> None:
        """Nothing is sent before the first call.

        Args:
            url: `http://host:port`, or `https://` for TLS; None for what MIRAGE_URL says, or http://localhost:8080.
            api_key: a key to use instead of signing in; None for what MIRAGE_API_KEY says, empty for none.
            store: where tokens are kept; None for in memory. `FileCredentialStore()` is that of the command line.
            ca_file: certificates (PEM) to trust instead of the usual ones; None for what MIRAGE_CA_FILE says.

        Raises:
            InvalidRequest: if the address or the key isn't one, or there is no such file.
        """
        super().__init__(AsyncClient(url, api_key=api_key, store=store, ca_file=ca_file))
        self.datasets = Datasets(self._core.datasets)
        self.jobs = Jobs(self._core.jobs)
        self.models = Models(self._core.models)
        self.studies = Studies(self._core.studies)
        self.notifications = Notifications(self._core.notifications)
        self.account = Account(self._core.account)
        self.admin = Admin(self._core.admin)
        self.stats = Stats(self._core.stats)

    @property
    def url(self) -> str:
        """The platform's address."""
        return self._core.url

    @property
    def email(self) -> str | None:
        """Who is signed in; None for nobody, or where an API key is used."""
        return self._core.email

    register = blocking(AsyncClient.register)
    logout = blocking(AsyncClient.logout)
    generate = waiting(AsyncClient.generate, Job)
    optimize = waiting(AsyncClient.optimize, Study)
    evaluate = blocking(AsyncClient.evaluate)
    validate = blocking(AsyncClient.validate)
    configuration = blocking(AsyncClient.configuration)
    provenance = blocking(AsyncClient.provenance, Provenance)
    audit_keys = blocking(AsyncClient.audit_keys)
    close = blocking(AsyncClient.close)
    _login = blocking(AsyncClient.login)

    def login(self, email: str, password: str) -> Self:
        """Signs in; from then on tokens renew themselves.

        Raises:
            NotSignedIn: if the address or the password is wrong.
            InvalidRequest: if this client uses an API key.
        """
        self._login(email, password)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self.url}, {self._core.who}>"
