"""The reference of the status benchmark: `python -m benchmarks.echo`, a bare grpc.aio server with one answer.

It answers GetJob, so that the same gateway routes to it and turns the same message into JSON, and does nothing for it:
no interceptor, no token, no database. It reads the job from a line of its stdin, prints its port, and serves until its
stdin ends.
"""

import asyncio
import sys

import grpc
import grpc.aio
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from mirage.generation.v1 import job_pb2
from servicekit.readiness import READINESS


async def serve(job: job_pb2.Job) -> None:
    """Serves until stdin ends."""

    async def get_job(
        _request: job_pb2.GetJobRequest, _context: "grpc.aio.ServicerContext[job_pb2.GetJobRequest, job_pb2.Job]"
    ) -> job_pb2.Job:
        return job

    handler = grpc.unary_unary_rpc_method_handler(
        get_job,
        request_deserializer=job_pb2.GetJobRequest.FromString,
        response_serializer=job_pb2.Job.SerializeToString,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("mirage.generation.v1.JobService", {"GetJob": handler}),)
    )
    health = health_aio.HealthServicer()
    await health.set(READINESS, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)  # the gateway asks first
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(serve(json_format.Parse(sys.stdin.readline(), job_pb2.Job())))
