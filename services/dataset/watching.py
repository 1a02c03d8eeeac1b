"""What happens to a dataset, told as it happens."""

from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit.follow import follow as follow_events
from servicekit.listen import Listener
from servicekit.timestamps import utc_now
from services.dataset import events, repository
from services.dataset.errors import DatasetNotFound
from services.dataset.models import DatasetEvent
from services.dataset.states import Stage, State

_EVENTS_A_BATCH = 500


async def follow(
    sessions: async_sessionmaker[AsyncSession],
    listener: Listener,
    reader_id: UUID,
    dataset_id: UUID,
    *,
    after: int,
    heartbeat_s: float,
) -> AsyncGenerator[Sequence[DatasetEvent], None]:
    """A dataset's events behind a number, in batches as they come; an empty batch is a heartbeat.

    Ends with the last event, after which nothing is being read in; at once if that one was seen already. If the dataset
    is deleted meanwhile, a made-up last event says so.

    Raises:
        DatasetNotFound: the reader has no such dataset, and there is no such public one.
    """
    async with sessions() as session:
        dataset = (await repository.find_readable(session, reader_id, dataset_id)).dataset
        if after >= dataset.last_seq and not await repository.is_busy(session, dataset_id):
            return

    async def fetch(seq: int) -> Sequence[DatasetEvent]:
        async with sessions() as session:
            found = await repository.events_after(session, dataset_id, seq, _EVENTS_A_BATCH)
            if not found and not await repository.dataset_exists(session, dataset_id):
                return [_deleted(dataset_id, seq)]
            return found

    async for batch in follow_events(
        fetch, listener, events.CHANNEL, str(dataset_id), after=after, heartbeat_s=heartbeat_s
    ):
        yield batch


def _deleted(dataset_id: UUID, seq: int) -> DatasetEvent:
    return DatasetEvent(
        dataset_id=dataset_id,
        seq=seq + 1,
        version=0,
        state=State.FAILED,
        stage=Stage.FAILED,
        progress=0.0,
        rows_read=0,
        last=True,
        error_code=StatusCode.NOT_FOUND.name,
        error_reason=DatasetNotFound.reason,
        error_message="The dataset was deleted.",
        created_at=utc_now(),
    )
