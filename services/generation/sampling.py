"""Rows from a model that was kept, drawn in a child process and streamed as they are made."""

import asyncio
import secrets
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from mirage.generation.v1.model_pb2 import SampleModelRequest
from servicekit import tabular
from servicekit.errors import Violation
from servicekit.form_faults import conclude
from servicekit.limits import limited
from servicekit.object_store import ObjectMissing, ObjectStore, file_sha256
from servicekit.validation import violations_of
from services.generation.engines.protocol import Failure
from services.generation.errors import ModelNotFound
from services.generation.faults import SamplingFailed
from services.generation.models import Model
from services.generation.requests import LARGEST_SEED, RequestLimits
from services.generation.slots import Slots
from services.generation.table_checks import invented
from services.generation.training.runner import TrainingRunner
from services.generation.training.spec import SamplingSpec
from services.generation.training.table_model import plan_in


class SampleRequest(BaseModel):
    """What a user asks of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int | None = None
    seed: int | None = Field(None, ge=0, le=LARGEST_SEED)
    conditions: dict[str, JsonValue] = Field(default_factory=dict)
    format: Annotated[Literal["jsonl", "csv", "parquet"], limited(SampleModelRequest, "format")] = "jsonl"


@dataclass(frozen=True)
class SamplePlan:
    """Rows to draw; nothing is left open."""

    rows: int
    seed: int
    conditions: Mapping[str, JsonValue]
    table_format: str


def _read(model: Model, fields: Mapping[str, Any], limits: RequestLimits) -> tuple[SamplePlan, list[Violation]]:
    """A request's plan, and what is wrong with it as far as the model's file needn't be read for that."""
    violations: list[Violation] = []
    try:
        request = SampleRequest.model_validate(dict(fields))
    except ValidationError as error:
        violations += violations_of(error, SampleRequest)
        request = SampleRequest.model_construct(**fields)
    rows = limits.default_sample_size if request.n is None else request.n
    try:
        limits.check_sample_size(rows)
    except ValueError as error:
        violations.append(Violation("n", str(error)))
    personal = {column["column"]: column["kind"] for column in model.personal_data}
    for name in request.conditions:
        if name in personal:
            violations.append(Violation(f"conditions.{name}", invented(name, personal[name])))
        elif name not in model.column_names:
            violations.append(Violation(f"conditions.{name}", f"the model has no column {name!r}"))
    seed = secrets.randbelow(LARGEST_SEED + 1) if request.seed is None else request.seed
    return SamplePlan(rows, seed, request.conditions, request.format), violations


class Sampler:
    """Draws rows from kept models; so many models at once as the machine has slots."""

    def __init__(
        self,
        store: ObjectStore,
        runner: TrainingRunner,
        *,
        slots: Slots,
        time_limit_s: float,
        memory_limit_mb: int | None,
    ) -> None:
        self._store = store
        self._runner = runner
        self._slots = slots
        self._time_limit_s = time_limit_s
        self._memory_limit_mb = memory_limit_mb

    async def plan(self, model: Model, fields: Mapping[str, Any], limits: RequestLimits) -> SamplePlan:
        """The plan for a request, given field by field.

        Raises:
            InvalidRequest: with every wrong field, conditions that the model can't meet among them.
            ModelNotFound: the model was deleted meanwhile.
            SamplingFailed: the model can't be read.
        """
        plan, violations = _read(model, fields, limits)
        wrong = {violation.field for violation in violations}
        conditions = {name: value for name, value in plan.conditions.items() if f"conditions.{name}" not in wrong}
        if conditions:
            with tempfile.TemporaryDirectory(prefix="mirage-sample-") as directory:
                path = Path(directory) / "model.zip"
                await self._fetch(model, path)
                try:
                    unmet = (await asyncio.to_thread(plan_in, path)).unmet(conditions)
                except Failure as failure:
                    raise SamplingFailed(failure) from failure
            violations += [Violation(f"conditions.{name}", why) for name, why in unmet.items()]
        conclude(violations)
        return plan

    async def draw(self, model: Model, plan: SamplePlan) -> AsyncGenerator[bytes, None]:
        """The rows as a file of the wanted format, as they are made. Closing this ends the child process.

        Raises:
            SamplersBusy: every slot is taken.
            ModelNotFound: the model was deleted meanwhile.
            SamplingFailed: the model can't make such rows.
        """
        with self._slots.one(), tempfile.TemporaryDirectory(prefix="mirage-sample-") as directory:
            path = Path(directory) / "model.zip"
            await self._fetch(model, path)
            spec = SamplingSpec(
                model=path,
                rows=plan.rows,
                seed=plan.seed,
                conditions=dict(plan.conditions),
                protection_key=(model.protection_key or b"").hex(),
                time_limit_s=self._time_limit_s,
                memory_limit_mb=self._memory_limit_mb,
            )
            try:
                async with aclosing(self._runner.sample(spec)) as batches:
                    async for piece in _encoded(batches, plan.table_format):
                        yield piece
            except Failure as failure:
                raise SamplingFailed(failure) from failure

    async def _fetch(self, model: Model, path: Path) -> None:
        try:
            await self._store.get_file(model.object_key, path)
        except ObjectMissing:
            raise ModelNotFound(model.id) from None
        # Reading a model runs what is in it; so only what this platform wrote is read.
        if await asyncio.to_thread(file_sha256, path) != model.object_sha256:
            raise SamplingFailed(Failure("MODEL_UNREADABLE", "The stored model isn't the one that was fitted."))


async def _encoded(batches: AsyncIterator[pa.RecordBatch], table_format: str) -> AsyncIterator[bytes]:
    """The batches as pieces of a file, each as soon as it is made."""
    waiting: deque[pa.RecordBatch] = deque()
    pieces: Iterator[bytes] | None = None
    ended = False

    def drain() -> Iterator[pa.RecordBatch]:
        while not ended:
            yield waiting.popleft()

    async for batch in batches:
        if not batch.num_rows:
            continue
        waiting.append(batch)
        pieces = pieces or tabular.stream_batches(batch.schema, drain(), table_format)
        # A format may say something of its own (a header) before it asks for rows.
        while waiting:
            yield await asyncio.to_thread(next, pieces)
    ended = True
    # What a format says after the last row, as Parquet does.
    while pieces is not None and (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
