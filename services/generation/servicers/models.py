"""The RPCs of ModelService."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from google.api.httpbody_pb2 import HttpBody
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.generation.v1 import model_pb2, model_pb2_grpc
from servicekit import tabular
from servicekit.downloads import send_file
from servicekit.identity import caller
from servicekit.limits import check
from servicekit.object_store import ObjectStore
from services.generation import convert, jobs, lists, repository, telling
from services.generation.jobs import ApprovalRule
from services.generation.repository import LOOSE_OBJECTS
from services.generation.requests import RequestLimits
from services.generation.sampling import Sampler
from services.generation.servicers.calls import Context, filter_id, model_id_of


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    """A user's fitted models."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        store: ObjectStore,
        sampler: Sampler,
        limits: RequestLimits,
        approval: ApprovalRule,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._sampler = sampler
        self._limits = limits
        self._approval = approval

    async def ListModels(self, request: model_pb2.ListModelsRequest, context: Context) -> model_pb2.ListModelsResponse:
        """Lists the caller's models."""
        check(request)
        dataset_id = filter_id("dataset_id", request.dataset_id)
        async with self._sessions() as session:
            page, next_token = await lists.models(
                session, caller().user_id, dataset_id, request.page_size, request.page_token
            )
        return model_pb2.ListModelsResponse(models=map(convert.model_to_proto, page), next_page_token=next_token)

    async def GetModel(self, request: model_pb2.GetModelRequest, context: Context) -> model_pb2.Model:
        """Returns one model."""
        async with self._sessions() as session:
            model = await repository.find_model(session, caller().user_id, model_id_of(request.model_id))
        return convert.model_to_proto(model)

    async def DeleteModel(
        self, request: model_pb2.DeleteModelRequest, context: Context
    ) -> model_pb2.DeleteModelResponse:
        """Deletes a model."""
        owner_id, model_id = caller().user_id, model_id_of(request.model_id)
        async with self._sessions.begin() as session:
            await jobs.delete_model(session, await repository.lock_model(session, owner_id, model_id))
        await LOOSE_OBJECTS.remove_due(self._sessions, self._store)
        return model_pb2.DeleteModelResponse()

    async def SampleModel(self, request: model_pb2.SampleModelRequest, context: Context) -> AsyncIterator[HttpBody]:
        """Draws rows from a model and streams them."""
        async with self._sessions() as session:
            model = await repository.find_model(session, caller().user_id, model_id_of(request.model_id))
        plan = await self._sampler.plan(model, convert.sample_fields(request), self._limits)
        self._approval.check_sampling(model, plan.rows)
        async with self._sessions.begin() as session:
            how = {"rows": plan.rows, "seed": plan.seed, "format": plan.table_format}
            await telling.model_sampled(session, model, how)
        headers = {"x-seed": str(plan.seed)}
        async with aclosing(self._sampler.draw(model, plan)) as pieces:
            async for body in send_file(context, headers, tabular.content_type(plan.table_format), pieces):
                yield body
