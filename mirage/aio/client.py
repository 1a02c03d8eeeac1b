"""The client for programs that run an event loop."""

import inspect
import json
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from anyio import CancelScope, move_on_after

from mirage import endpoint
from mirage.activity.v1 import provenance_pb2
from mirage.aio.account import AsyncAccount
from mirage.aio.admin import AsyncAdmin
from mirage.aio.datasets import AsyncDataset, AsyncDatasets
from mirage.aio.jobs import AsyncJob, AsyncJobs
from mirage.aio.models import AsyncModels
from mirage.aio.notifications import AsyncNotifications
from mirage.aio.provenance import AsyncProvenance
from mirage.aio.stats import AsyncStats
from mirage.aio.studies import AsyncStudies, AsyncStudy
from mirage.api_key import read_api_key, uses_api_key
from mirage.auth.v1 import session_pb2
from mirage.connection import Connection, read_ca_file
from mirage.credentials import CredentialStore, MemoryCredentialStore
from mirage.errors import MirageError, NotSignedIn
from mirage.generation.v1 import job_pb2, quality_pb2
from mirage.job_requests import start_request
from mirage.progress import upload_progress
from mirage.records.account import User
from mirage.records.dataset import DatasetFields
from mirage.records.generation import Configuration, JobFields, Validation
from mirage.records.quality import QualityReport
from mirage.study_requests import study_request

_LONGEST_CLEANING_S: Final = 10.0


class AsyncClient:
    """A platform, as one user sees it. Belongs to the event loop that first uses it.

    ```python
    async with AsyncClient("http://localhost:8080") as client:
        await client.login("ada@example.org", password)
        job = await client.generate(frame, model="ctgan", rows=5000)
        synthetic = await job.dataframe()
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
        authorities = read_ca_file(ca_file or os.environ.get(endpoint.CA_VARIABLE))
        self._connection = Connection(
            endpoint.parse(url), store or MemoryCredentialStore(), authorities, read_api_key(api_key)
        )
        self.datasets = AsyncDatasets(self._connection)
        self.jobs = AsyncJobs(self._connection)
        self.models = AsyncModels(self._connection)
        self.studies = AsyncStudies(self._connection)
        self.notifications = AsyncNotifications(self._connection)
        self.account = AsyncAccount(self._connection)
        self.admin = AsyncAdmin(self._connection)
        self.stats = AsyncStats(self._connection)

    @property
    def url(self) -> str:
        """The platform's address."""
        return self._connection.endpoint.url

    @property
    def email(self) -> str | None:
        """Who is signed in; None for nobody, or where an API key is used."""
        return self._connection.tokens.email

    @property
    def who(self) -> str:
        """In whose name calls are made, in words."""
        return "an API key" if self._connection.session is None else self.email or "nobody signed in"

    async def register(self, email: str, password: str, display_name: str = "") -> User:
        """Makes an account and signs in to it.

        Args:
            email: the address to sign in with.
            password: 10 to 128 characters.
            display_name: the name shown to others; what stands before the @ if empty.

        Raises:
            AlreadyExists: if there is an account with this address.
            InvalidRequest: if the address or the password won't do, or this client uses an API key.
        """
        if self._connection.session is None:
            raise uses_api_key()
        request = session_pb2.RegisterRequest(
            email=email, password=password, display_name=display_name or email.partition("@")[0]
        )
        user = User(await self._connection.call(self._connection.sessions.Register, request, signed_in=False))
        await self.login(email, password)
        return user

    async def login(self, email: str, password: str) -> Self:
        """Signs in; from then on tokens renew themselves.

        Raises:
            NotSignedIn: if the address or the password is wrong.
            InvalidRequest: if this client uses an API key.
        """
        session = self._connection.session
        if session is None:
            raise uses_api_key()
        request = session_pb2.LoginRequest(email=email, password=password)
        pair = await self._connection.call(self._connection.sessions.Login, request, signed_in=False)
        await session.keep(pair, email)
        return self

    async def logout(self, everywhere: bool = False) -> None:
        """Signs out here, or on every device; signing out twice is signing out once.

        Raises:
            InvalidRequest: if this client uses an API key.
        """
        session = self._connection.session
        if session is None:
            raise uses_api_key()
        try:
            await self._connection.call(self._connection.sessions.Logout, session_pb2.LogoutRequest(all=everywhere))
        except NotSignedIn:
            pass
        finally:
            await session.forget()

    async def generate(
        self,
        /,
        dataset: Any,
        model: str = "ctgan",
        rows: int | None = None,
        *,
        seed: int | None = None,
        name: str = "",
        columns: Sequence[str] = (),
        primary_key: str = "",
        target_column: str = "",
        holdout_fraction: float | None = None,
        conditions: Mapping[str, Any] | None = None,
        engine: str = "",
        optimization: Mapping[str, Any] | None = None,
        privacy: Mapping[str, Any] | None = None,
        output_format: str = "csv",
        include_metadata: bool = False,
        dataset_version: int = 0,
        wait: bool = True,
        progress: bool | None = None,
        **parameters: Any,
    ) -> AsyncJob:
        """Trains a model on a dataset and draws rows from it.

        Args:
            dataset: a dataset, its id or its name, or a table, which is uploaded first.
            model: `autoregressive`, `ctgan`, `tvae`, `gaussian_copula`, `copulagan`; `client.configuration()` tells
                of all.
            rows: how many to draw; None for the platform's default.
            seed: governs every random choice; drawn if None, and told in the job.
            name: the job's name; made from the dataset's if empty.
            columns: only these; all of them if empty.
            primary_key: the column whose values are unique; as set in the dataset if empty.
            target_column: the column that a model would predict; as set in the dataset if empty.
            holdout_fraction: share of rows kept from training for the report, 0 to 0.5.
            conditions: values that every row must have, by column.
            engine: what trains; chosen by the model if empty.
            optimization: a search for the best parameters: `enabled`, `method`, `n_trials` and so on.
            privacy: `epsilon` and `delta`, where the engine has differential privacy.
            output_format: the format of a download that names none.
            include_metadata: whether a download also holds a document that says how the table was made.
            dataset_version: the version to learn; 0 for the latest.
            wait: whether to return when the table is there, or as soon as the job is accepted.
            progress: whether to show a bar; None for where somebody is likely to see it.
            parameters: the model's own, such as `epochs=150`.

        Raises:
            InvalidRequest: if anything in it is wrong; `violations` tell everything at once.
            JobNotSucceeded: if the job ends without a table.
        """
        job = await self.jobs.start(
            start_request(
                await self._dataset_id(dataset, progress),
                model,
                rows,
                seed=seed,
                name=name,
                columns=columns,
                primary_key=primary_key,
                target_column=target_column,
                holdout_fraction=holdout_fraction,
                conditions=conditions,
                engine=engine,
                optimization=optimization,
                privacy=privacy,
                output_format=output_format,
                include_metadata=include_metadata,
                dataset_version=dataset_version,
                parameters=parameters,
            )
        )
        return await job.wait(progress) if wait else job

    async def optimize(
        self,
        /,
        dataset: Any,
        model: str = "ctgan",
        trials: int | None = None,
        *,
        method: str = "",
        metric: str = "",
        space: Mapping[str, Any] | None = None,
        acquisition: str = "",
        seed: int | None = None,
        parallel: int | None = None,
        timeout_s: float | None = None,
        patience: int | None = None,
        caps: Mapping[str, Any] | None = None,
        objectives: Sequence[str] = (),
        target_column: str = "",
        columns: Sequence[str] = (),
        holdout_fraction: float | None = None,
        engine: str = "",
        name: str = "",
        dataset_version: int = 0,
        wait: bool = True,
        progress: bool | None = None,
        parameters: Mapping[str, Any] | None = None,
        **more_parameters: Any,
    ) -> AsyncStudy:
        """Searches for the parameters of a model that suit a dataset.

        Args:
            dataset: a dataset, its id or its name, or a table, which is uploaded first.
            model: the model to tune, such as `ctgan`.
            trials: how many to run; None for the platform's default.
            method: `bayesian` (the default), `random`, `grid` or `hyperband`.
            metric: `quality_score` (the default), a part of it, or a part's metric such as `privacy.membership_auc`.
            space: by parameter a range `[low, high]` or `{"choices": [...]}`; one that suits the model if None.
            acquisition: `EI` (the default), `LCB`, `PI` or `gp_hedge`, for a Bayesian search.
            seed: governs every random choice; drawn if None, and told in the study.
            parallel: trials at once; 1 if None.
            timeout_s: seconds after which it ends with the best so far; None for the platform's limit.
            patience: ends it when so many trials in a row were no better; None for never.
            caps: what the best must keep to, by metric: `{"privacy.membership_auc": {"max": 0.55}}`.
            objectives: several metrics instead of one; the answer is the Pareto set.
            target_column: the column that a model would predict; as set in the dataset if empty.
            columns: only these; all of them if empty.
            holdout_fraction: share of rows kept from training for the judging, 0 to 0.5.
            engine: what trains; chosen by the model if empty.
            name: the study's name; made from the dataset's if empty.
            dataset_version: the version to learn; 0 for the latest.
            wait: whether to return when it has ended, or as soon as it is accepted.
            progress: whether to show its trials; None for where somebody is likely to see them.
            parameters: of every trial, beside the searched ones: `{"epochs": 50}`.
            more_parameters: the same by name, such as `epochs=50`, where the name means nothing else here.

        Raises:
            InvalidRequest: if anything in it is wrong; `violations` tell everything at once.
            StudyFailed: if it ends without a trial that has ended well.
        """
        study = await self.studies.start(
            study_request(
                await self._dataset_id(dataset, progress),
                model,
                trials,
                method=method,
                metric=metric,
                space=space,
                acquisition=acquisition,
                seed=seed,
                parallel=parallel,
                timeout_s=timeout_s,
                patience=patience,
                caps=caps,
                objectives=objectives,
                target_column=target_column,
                columns=columns,
                holdout_fraction=holdout_fraction,
                engine=engine,
                name=name,
                dataset_version=dataset_version,
                parameters={**(parameters or {}), **more_parameters},
            )
        )
        return await study.wait(progress) if wait else study

    async def evaluate(
        self,
        /,
        dataset: Any,
        table: Any,
        *,
        holdout: Any = None,
        target_column: str = "",
        sensitive_columns: Sequence[str] = (),
        columns: Sequence[str] = (),
        seed: int | None = None,
        dataset_version: int = 0,
        progress: bool | None = None,
    ) -> QualityReport:
        """Judges any table against a version of a dataset; returns when it is done.

        Args:
            dataset: the real table: a dataset, its id or its name, or a table, which is uploaded first.
            table: the synthetic one: a job, for the table that it made, or whatever `dataset` may be. What is uploaded
                is deleted again when it is judged.
            holdout: real rows that whoever made the table has never seen, likewise; without any, what needs them is
                left out. A job that learned this version of the dataset has its own.
            target_column: the column that a model would predict; as set in the dataset if empty, and else chosen.
            sensitive_columns: columns that an attacker would like to know of somebody; chosen if empty.
            columns: only these; all that both tables have if empty.
            seed: governs every random choice; 0 if None.
            dataset_version: the version to judge by; 0 for the latest.
            progress: whether to show a bar for what is uploaded; None for where somebody is likely to see it.

        Raises:
            InvalidRequest: if anything in it is wrong; `violations` tell everything at once.
            MirageError: if the tables can't be compared.
        """
        request = quality_pb2.EvaluateTableRequest(
            dataset_version=dataset_version,
            target_column=target_column,
            sensitive_columns=sensitive_columns,
            seed=seed,
            columns=columns,
        )
        async with AsyncExitStack() as uploads:
            request.dataset_id = await self._dataset_for_now(uploads, dataset, progress)
            if isinstance(table, JobFields):
                request.job_id = table.id
            else:
                request.table_dataset_id = await self._dataset_for_now(uploads, table, progress)
            if holdout is not None:
                request.holdout_dataset_id = await self._dataset_for_now(uploads, holdout, progress)
            # However long it takes: the platform has a limit of its own.
            call = self._connection.call(self._connection.quality.EvaluateTable, request, timeout_s=None)
            return QualityReport(await call)

    async def validate(
        self, /, dataset: DatasetFields | str, model: str = "ctgan", rows: int | None = None, **request: Any
    ) -> Validation:
        """Checks what `generate` would be asked, with the same arguments, and estimates time and memory."""
        known = inspect.signature(start_request).parameters
        parameters = {name: value for name, value in request.items() if name not in known}
        options = {name: value for name, value in request.items() if name in known}
        wanted = start_request(await self._dataset_id(dataset, None), model, rows, parameters=parameters, **options)
        message = job_pb2.ValidateJobRequest(request=wanted)
        return Validation(await self._connection.call(self._connection.jobs.ValidateJob, message))

    async def configuration(self) -> Configuration:
        """Returns the model types with their parameters, the formats and the limits."""
        request = job_pb2.GetConfigurationRequest()
        return Configuration(await self._connection.call(self._connection.jobs.GetConfiguration, request))

    async def provenance(self, object_id: str) -> AsyncProvenance:
        """Returns the records of the platform's log behind a table (by its job's id), model, report, dataset or study.

        Raises:
            NotFound: if nothing of the caller's has this id.
        """
        request = provenance_pb2.GetProvenanceRequest(object_id=object_id)
        answer = await self._connection.call(self._connection.provenance.GetProvenance, request)
        return AsyncProvenance(answer, self._connection)

    async def audit_keys(self) -> dict[str, Any]:
        """Returns the public keys that the log is signed with, as a JWK set; nobody needs to be signed in."""
        request = provenance_pb2.GetAuditKeySetRequest()
        body = await self._connection.call(self._connection.audit.GetAuditKeySet, request, signed_in=False)
        key_set: dict[str, Any] = json.loads(body.data)
        return key_set

    async def close(self) -> None:
        """Closes the connection; jobs go on."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _dataset_for_now(self, uploads: AsyncExitStack, dataset: Any, progress: bool | None) -> str:
        """A dataset's id; one that is uploaded for it is deleted again when `uploads` closes."""
        if isinstance(dataset, DatasetFields | str):
            return await self._dataset_id(dataset, progress)
        with upload_progress(progress, "") as bar, CancelScope() as answering:

            def sent(done: int, total: int) -> None:
                bar.advance(done, total)
                # The platform keeps what it has whole. Broken off here, nobody would know what to delete.
                answering.shield = done >= total

            uploaded: AsyncDataset = await self.datasets.send(dataset, sent=sent)
        # Before the wait, which may fail or be broken off.
        await uploads.enter_async_context(_deleted_at_the_end(uploaded))
        return (await uploaded.wait(progress)).id

    async def _dataset_id(self, dataset: Any, progress: bool | None) -> str:
        if isinstance(dataset, DatasetFields):
            return dataset.id
        if isinstance(dataset, str):
            return (await self.datasets.get(dataset)).id
        uploaded: AsyncDataset = await self.datasets.upload(dataset, progress=progress)
        return uploaded.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}, {self.who}>"


@asynccontextmanager
async def _deleted_at_the_end(dataset: AsyncDataset) -> AsyncGenerator[None]:
    """Deletes a dataset whatever happens meanwhile, also where the caller is cancelled (Ctrl-C)."""
    try:
        yield
    except BaseException:
        with suppress(MirageError):  # what went wrong first says more
            await _delete(dataset)
        raise
    await _delete(dataset)


async def _delete(dataset: AsyncDataset) -> None:
    with move_on_after(_LONGEST_CLEANING_S, shield=True):
        await dataset.delete()
