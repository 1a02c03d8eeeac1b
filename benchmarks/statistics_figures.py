"""How fast statistics answer with a million events in the log."""

import asyncio
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import httpx

from benchmarks.measuring import platform_at
from deploy.local.platform import LocalPlatform
from servicekit.database import asyncpg_dsn

EVENTS = 1_000_000
USERS = 2_000
SIGNED_IN = 8  # of them, who ask
DAYS = 90
A_BATCH = 5_000
ASKED = 12  # times by each who asks
ROUTES = {
    "dashboard": "/stats/dashboard?time_zone=Asia/Kathmandu",
    "usage": "/stats/usage?time_zone=America/New_York",
    "performance": "/stats/performance?time_zone=Europe/Vienna",
    "usage of 90 days": "/stats/usage?time_zone=Australia/Lord_Howe&days=90",
    "performance of 90 days": "/stats/performance?time_zone=Asia/Kathmandu&days=90",
}
ADMINISTRATORS = {
    "system": "/stats/system?time_zone=Asia/Kathmandu",
    "performance": "/stats/performance?time_zone=Europe/Vienna",
    "system of 90 days": "/stats/system?time_zone=Australia/Lord_Howe&days=90",
    "performance of 90 days": "/stats/performance?time_zone=Asia/Kathmandu&days=90",
}

# No chain: nobody reads it here. Everything that counts is as services tell it; a job's events are all its own.
_FILL = """
    INSERT INTO records (
        seq, event_id, service, kind, occurred_time, recorded_time, actor_id, actor_role, owner_id, object_type,
        object_id, related, attributes, sealed, request_id, trace_id, text, previous_hash, hash
    )
    SELECT
        seq, gen_random_uuid(), 'generation', kind, moment, moment, users[who], 'user', users[who],
        split_part(kind, '.', 1), 'object-' || (seq / 8) || '-' || who, '{}',
        jsonb_build_object(
            'model_type', (ARRAY['ctgan', 'tvae', 'gaussian_copula', 'copulagan', 'autoregressive'])[1 + seq % 5],
            'source_rows', round(power(10, 1 + random() * 5)), 'rows', round(power(10, 1 + random() * 5)),
            'bytes', round(power(10, 2 + random() * 6)), 'format', (ARRAY['csv', 'xlsx', 'parquet'])[1 + seq % 3],
            'quality_score', round(random()::numeric, 4), 'peak_memory_bytes', round(power(10, 8 + random() * 2)),
            'seconds', CASE kind WHEN 'session.ended' THEN to_jsonb(round((random() * 9000)::numeric, 3))
                ELSE jsonb_build_object('training', round((random() * 900)::numeric, 3)) END,
            'method', (ARRAY['bayesian', 'random', 'hyperband'])[1 + seq % 3], 'gain', round(random()::numeric, 4)
        ),
        '', '', '', '', '', ''
    FROM (
        SELECT seq, now() - random() * interval '1 day' * $4 AS moment,
            1 + floor(power(random(), 3) * array_length($3::uuid[], 1))::integer AS who,
            (ARRAY['session.started', 'session.ended', 'dataset.uploaded', 'job.created', 'job.started',
                   'job.succeeded', 'job.succeeded', 'job.failed', 'table.downloaded', 'report.viewed',
                   'model.sampled', 'study.created', 'study.succeeded', 'dataset.updated', 'job.cancelled',
                   'account.updated'])[1 + floor(random() * 16)::integer] AS kind
        FROM generate_series($1::bigint, $2::bigint) AS seq
    ) AS made, (SELECT $3::uuid[] AS users) AS given
"""
# What services would have told: of every user on every day, of twelve RPCs, in about twenty buckets each.
_REQUESTS = """
    WITH told AS (
        SELECT user_id, date_bin('15 minutes', now() - random() * interval '1 day' * $2, TIMESTAMPTZ '2000-01-01Z')
                AS q,
            'mirage.dataset.v1.DatasetService/Rpc' || (number % 40) AS rpc, (number % 20 - 60)::smallint AS bucket
        FROM unnest($1::uuid[]) AS user_id, generate_series(1, 200) AS number
    ), spread AS (
        SELECT scope AS user_id, span, start, rpc, bucket FROM told
        CROSS JOIN LATERAL (VALUES (user_id), ('00000000-0000-0000-0000-000000000000'::uuid)) AS scopes (scope)
        CROSS JOIN LATERAL (VALUES ('quarter', q), ('day', date_trunc('day', q, 'UTC'))) AS spans (span, start)
    ), counted AS (
        INSERT INTO request_counts
        SELECT user_id, span, start, rpc, count(*), 0, 0, 100 * count(*), 900 * count(*), 5000 * count(*) FROM spread
        GROUP BY 1, 2, 3, 4
    )
    INSERT INTO request_durations SELECT user_id, span, start, rpc, bucket, count(*) FROM spread GROUP BY 1, 2, 3, 4, 5
"""
_PASSWORD = secrets.token_urlsafe(18)


def run() -> Iterator[str]:
    """GET /stats/… through Envoy, by several users at a million events; in brackets the slowest."""
    # Nothing is signed or told to users meanwhile: neither is what is measured, and the log is no chain.
    quiet = {"CHECKPOINT_SECONDS": "3600"}
    with tempfile.TemporaryDirectory() as directory, platform_at(Path(directory) / "home", **quiet) as platform:
        people = [_signed_up(platform) for _ in range(SIGNED_IN)]
        administrator = _administrator(platform)
        users = [*(UUID(user_id) for user_id, _ in people), *(uuid4() for _ in range(USERS - SIGNED_IN))]
        seconds = asyncio.run(_filled(platform, users))
        yield f"{EVENTS:,} events of {USERS:,} users over {DAYS} days, counted at {EVENTS / seconds:,.0f} a second"
        for name, path in ROUTES.items():
            yield _measured(f"{name}, one's own", platform, path, [token for _, token in people])
        for name, path in ADMINISTRATORS.items():
            yield _measured(f"{name}, everybody's", platform, path, [administrator] * SIGNED_IN)


async def _filled(platform: LocalPlatform, users: Sequence[UUID]) -> float:
    """Fills the log; returns for how many seconds."""
    connection = await asyncpg.connect(asyncpg_dsn(platform.base.database_url("activity")))
    try:
        await connection.execute("UPDATE views SET seq = 1000000000")
        first = 1 + int(await connection.fetchval("SELECT coalesce(max(seq), 0) FROM records"))
        began = time.perf_counter()
        for start in range(first, first + EVENTS, A_BATCH):
            await connection.execute(_FILL, start, start + A_BATCH - 1, users, DAYS)
        seconds = time.perf_counter() - began
        await connection.execute(_REQUESTS, users, DAYS, timeout=600)
        await connection.execute("VACUUM ANALYZE", timeout=600)
        return seconds
    finally:
        await connection.close()


def _measured(name: str, platform: LocalPlatform, path: str, tokens: Sequence[str]) -> str:
    """One after the other, those who ask by turns."""
    seconds = []
    with httpx.Client(base_url=platform.url, timeout=60) as client:
        for turn in range(ASKED + 1):
            for token in tokens:
                began = time.perf_counter()
                answer = client.get(path, headers={"authorization": f"Bearer {token}"})
                if turn:  # what is first is slower: connections, keys, plans
                    seconds.append(time.perf_counter() - began)
                answer.raise_for_status()
    p50, p95 = statistics.median(seconds), statistics.quantiles(seconds, n=20)[18]
    return f"{name:<38} p50 {p50 * 1000:6.1f} ms   p95 {p95 * 1000:6.1f} ms   ({max(seconds) * 1000:.0f} ms)"


def _signed_up(platform: LocalPlatform) -> tuple[str, str]:
    """A new user's id and access token."""
    email = f"bench-{secrets.token_hex(4)}@example.org"
    account = {"email": email, "password": _PASSWORD, "display_name": "Benchmark"}
    made = httpx.post(f"{platform.url}/auth/register", json=account).raise_for_status().json()["data"]
    return made["user_id"], _token(platform, email)


def _administrator(platform: LocalPlatform) -> str:
    """A new administrator's access token."""
    email = f"admin-{secrets.token_hex(4)}@example.org"
    command = [sys.executable, "-m", "services.auth.admin", "create", "--email", email, "--password-stdin"]
    environment = platform.base.environment("auth")
    subprocess.run(command, env=environment, input=_PASSWORD, text=True, check=True, capture_output=True)
    return _token(platform, email)


def _token(platform: LocalPlatform, email: str) -> str:
    answer = httpx.post(f"{platform.url}/auth/login", json={"email": email, "password": _PASSWORD})
    token: str = answer.raise_for_status().json()["data"]["access_token"]
    return token
