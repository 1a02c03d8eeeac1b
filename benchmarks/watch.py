"""Subscribers of progress streams: `python -m benchmarks.watch ADDRESS`, told by a JSON line on stdin.

A process of its own. Once every stream has had its first event it prints a line; when all streams were silent for two
seconds it prints when (Unix time, seconds) each further event came, and ends.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Sequence

import grpc.aio

from mirage.generation.v1 import job_pb2, job_pb2_grpc

_CHANNELS = 10  # a channel carries at most a hundred streams
_SILENCE_S = 2.0


class Watching:
    """What all subscribers have seen."""

    def __init__(self, subscribers: int) -> None:
        self.received: list[tuple[str, int, float]] = []  # job, sequence number, Unix time
        self.all_begun = asyncio.Event()
        self.heard = asyncio.Event()
        self._to_begin = subscribers

    async def subscribe(self, stub: "job_pb2_grpc.JobServiceAsyncStub", job_id: str, authorization: str) -> None:
        """Watches one job until it is cancelled."""
        metadata = (("authorization", authorization),)
        stream = stub.WatchJob(job_pb2.WatchJobRequest(job_id=job_id), metadata=metadata)
        first = True
        async for event in stream:
            if first:
                first = False
                self._to_begin -= 1
                if not self._to_begin:
                    self.all_begun.set()
            elif event.sequence:
                self.received.append((job_id, event.sequence, time.time()))
                self.heard.set()

    async def until_silent(self) -> None:
        """Waits for a first event, and from then on until none has come for a while."""
        await self.heard.wait()
        with contextlib.suppress(TimeoutError):
            while True:
                self.heard.clear()
                await asyncio.wait_for(self.heard.wait(), _SILENCE_S)


async def watch(address: str, job_ids: Sequence[str], authorization: str) -> Watching:
    """Subscribes once for each id in `job_ids`."""
    watching = Watching(len(job_ids))
    channels = [grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(_CHANNELS)]
    stubs: list[job_pb2_grpc.JobServiceAsyncStub] = [job_pb2_grpc.JobServiceStub(channel) for channel in channels]
    tasks = [
        asyncio.create_task(watching.subscribe(stubs[index % _CHANNELS], job_id, authorization))
        for index, job_id in enumerate(job_ids)
    ]
    await watching.all_begun.wait()
    print("begun", flush=True)
    await watching.until_silent()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for channel in channels:
        await channel.close()
    return watching


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watch")
    parser.add_argument("address")
    given = parser.parse_args()
    told = json.loads(sys.stdin.readline())
    print(json.dumps(asyncio.run(watch(given.address, told["job_ids"], told["authorization"])).received))


if __name__ == "__main__":
    main()
