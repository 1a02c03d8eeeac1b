"""The RPCs of QualityService."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from google.api.httpbody_pb2 import HttpBody
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.generation.v1 import quality_pb2, quality_pb2_grpc
from servicekit.downloads import send_file
from servicekit.identity import caller
from servicekit.timestamps import utc_now
from services.generation import convert, convert_quality, jobs, telling
from services.generation.drawing import PageDrawer
from services.generation.evaluations import Evaluator
from services.generation.metadata import metadata_document
from services.generation.quality.page.facts import job_facts
from services.generation.quality.report import QualityReport
from services.generation.servicers.calls import Context, job_id_of

# Nothing is fetched and nothing is run; the page's looks are in it.
_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


class QualityServicer(quality_pb2_grpc.QualityServiceServicer):
    """How good tables are."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], evaluator: Evaluator, drawer: PageDrawer) -> None:
        self._sessions = sessions
        self._evaluator = evaluator
        self._drawer = drawer

    async def GetQuality(self, request: quality_pb2.GetQualityRequest, context: Context) -> quality_pb2.QualityReport:
        """Returns how good a job's table is."""
        async with self._sessions.begin() as session:
            job, stored = await jobs.report_of(session, caller().user_id, job_id_of(request.job_id))
            await telling.report_viewed(session, job, {"format": "json"})
        return convert.stored_report_to_proto(stored)

    async def GetReport(self, request: quality_pb2.GetReportRequest, context: Context) -> AsyncIterator[HttpBody]:
        """Streams the same as a page."""
        async with self._sessions.begin() as session:
            job, stored = await jobs.report_of(session, caller().user_id, job_id_of(request.job_id))
            await telling.report_viewed(session, job, {"format": "html"})
        report, facts = QualityReport.model_validate_json(stored.document), job_facts(metadata_document(job))
        async with aclosing(self._drawer.draw(report, facts)) as pieces:
            async for body in send_file(context, _HEADERS, "text/html; charset=utf-8", pieces):
                yield body

    async def EvaluateTable(
        self, request: quality_pb2.EvaluateTableRequest, context: Context
    ) -> quality_pb2.QualityReport:
        """Judges any table against a version of a dataset."""
        owner_id = caller().user_id
        plan = await self._evaluator.plan(owner_id, convert_quality.evaluation_fields(request))
        report = await self._evaluator.evaluate(plan)
        score = report.quality_score.value if report.quality_score else None
        made_by = str(plan.made.job.id) if plan.made.job else ""
        async with self._sessions.begin() as session:
            await telling.evaluation_made(
                session, owner_id, plan.request.dataset_id, plan.real.version, {"quality_score": score}, made_by
            )
        return convert_quality.report_to_proto(report, utc_now())
