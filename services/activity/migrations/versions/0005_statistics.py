"""Statistics: counts of the log's records by quarter of an hour, kept by the database as records are added.

Everything here is what a count over the records would give, whatever the order in which they came. What is everybody's
stands under the nil UUID. Triggers count once a statement, so a batch of records costs a few statements more.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from servicekit.migrate import execute_script

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: None = None
depends_on: None = None

MOMENT = sa.DateTime(timezone=True)
DAILY = (
    "events", "sign_ins", "uploads", "jobs_created", "jobs_succeeded", "jobs_failed", "jobs_cancelled", "downloads",
    "model_samples", "reports_viewed", "searches", "judged",
)  # fmt: skip

FUNCTIONS = """
-- The quarter of an hour in which something happened, by the source's clock less what that is ahead.
CREATE FUNCTION quarter_of(occurred_time timestamptz, clock_offset_seconds double precision) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT date_bin('15 minutes', occurred_time - make_interval(secs => coalesce(clock_offset_seconds, 0)),
                    TIMESTAMPTZ '2000-01-01 00:00:00Z')
$$;

-- The number at a place of a document, if there is one from 0 to `most`.
CREATE FUNCTION number_in(document jsonb, place text[], most numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(document #> place) = 'number' THEN
        CASE WHEN (document #>> place)::numeric BETWEEN 0 AND most THEN (document #>> place)::numeric END
    END
$$;

-- The word at a place of a document; `unknown` where there is none.
CREATE FUNCTION word_in(document jsonb, name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(document -> name) = 'string' AND length(document ->> name) BETWEEN 1 AND 100
        THEN document ->> name ELSE 'unknown' END
$$;

-- The fewest rows of the class of sizes to which a table belongs.
CREATE FUNCTION size_class(row_count numeric) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN row_count IS NULL THEN 'unknown' WHEN row_count < 1000 THEN '0' WHEN row_count < 10000 THEN '1000'
        WHEN row_count < 100000 THEN '10000' WHEN row_count < 1000000 THEN '100000' ELSE '1000000' END
$$;

-- The bucket of a number: n for what is above 2^((n-1)/8) and at most 2^(n/8); of what is next to nothing, -32768.
CREATE FUNCTION bucket_of(amount numeric) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN amount < 0.000000001 THEN '-32768'
        ELSE ceil(8 * ln(amount::double precision) / ln(2::double precision))::integer::text END
$$;

-- How far an object has come: of several records the furthest counts, whichever came first.
CREATE FUNCTION rank_of(kind text) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE kind
        WHEN 'dataset.uploaded' THEN 1 WHEN 'dataset.deleted' THEN 9
        WHEN 'job.created' THEN 1 WHEN 'job.approval_requested' THEN 2 WHEN 'job.approved' THEN 3
        WHEN 'job.started' THEN 4 WHEN 'job.cancelled' THEN 5 WHEN 'job.rejected' THEN 6 WHEN 'job.failed' THEN 7
        WHEN 'job.succeeded' THEN 8 WHEN 'job.deleted' THEN 9
    END::smallint
$$;

CREATE FUNCTION count_records() RETURNS trigger LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    everybody CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
    INSERT INTO activity_quarters AS kept (
        owner_id, quarter, events, sign_ins, uploads, jobs_created, jobs_succeeded, jobs_failed, jobs_cancelled,
        downloads, model_samples, reports_viewed, searches, judged, quality_total
    )
    SELECT
        scope_id, quarter, count(*),
        count(*) FILTER (WHERE kind = 'session.started'),
        count(*) FILTER (WHERE kind IN ('dataset.uploaded', 'dataset.version_added')),
        count(*) FILTER (WHERE kind = 'job.created'),
        count(*) FILTER (WHERE kind = 'job.succeeded'),
        count(*) FILTER (WHERE kind = 'job.failed'),
        count(*) FILTER (WHERE kind = 'job.cancelled'),
        count(*) FILTER (WHERE kind IN ('table.downloaded', 'dataset.exported', 'model.downloaded')),
        count(*) FILTER (WHERE kind = 'model.sampled'),
        count(*) FILTER (WHERE kind = 'report.viewed'),
        count(*) FILTER (WHERE kind = 'study.created'),
        count(quality), coalesce(sum(quality), 0)
    FROM (
        SELECT kind, owner_id, quarter_of(occurred_time, clock_offset_seconds) AS quarter,
            CASE WHEN kind = 'job.succeeded' THEN number_in(attributes, '{quality_score}', 1) END AS quality
        FROM added
    ) AS happened
    CROSS JOIN LATERAL (SELECT everybody UNION ALL SELECT owner_id WHERE owner_id <> everybody) AS scopes (scope_id)
    GROUP BY scope_id, quarter
    ON CONFLICT (owner_id, quarter) DO UPDATE SET
        events = kept.events + excluded.events,
        sign_ins = kept.sign_ins + excluded.sign_ins,
        uploads = kept.uploads + excluded.uploads,
        jobs_created = kept.jobs_created + excluded.jobs_created,
        jobs_succeeded = kept.jobs_succeeded + excluded.jobs_succeeded,
        jobs_failed = kept.jobs_failed + excluded.jobs_failed,
        jobs_cancelled = kept.jobs_cancelled + excluded.jobs_cancelled,
        downloads = kept.downloads + excluded.downloads,
        model_samples = kept.model_samples + excluded.model_samples,
        reports_viewed = kept.reports_viewed + excluded.reports_viewed,
        searches = kept.searches + excluded.searches,
        judged = kept.judged + excluded.judged,
        quality_total = kept.quality_total + excluded.quality_total;

    WITH happened AS MATERIALIZED (
        SELECT kind, owner_id, attributes, quarter_of(occurred_time, clock_offset_seconds) AS quarter,
            CASE WHEN kind IN ('job.succeeded', 'job.failed')
                THEN ARRAY[word_in(attributes, 'model_type'),
                           size_class(number_in(attributes, '{source_rows}', 1e15))] END AS trained
        FROM added
        WHERE kind IN ('dataset.uploaded', 'session.ended', 'job.created', 'job.succeeded', 'job.failed',
                       'study.succeeded', 'study.stopped', 'study.failed', 'account.registered', 'account.deleted')
    ), measured AS (
        SELECT owner_id, quarter, facet, label, amount FROM (
            SELECT owner_id, quarter, 'session_seconds' AS facet, ARRAY[]::text[] AS label,
                number_in(attributes, '{seconds}', 1e12) AS amount
            FROM happened WHERE kind = 'session.ended'
            UNION ALL
            SELECT owner_id, quarter, 'dataset_bytes', ARRAY[]::text[], number_in(attributes, '{bytes}', 1e18)
            FROM happened WHERE kind = 'dataset.uploaded'
            UNION ALL
            SELECT owner_id, quarter, 'training_seconds', trained, number_in(attributes, '{seconds,training}', 1e12)
            FROM happened WHERE kind = 'job.succeeded'
            UNION ALL
            SELECT owner_id, quarter, 'peak_memory_bytes', trained, number_in(attributes, '{peak_memory_bytes}', 1e18)
            FROM happened WHERE kind = 'job.succeeded'
        ) AS all_of_them
        WHERE amount IS NOT NULL
    ), facts AS (
        SELECT owner_id, quarter, facet, label || bucket_of(amount) AS label, amount FROM measured
        UNION ALL
        SELECT owner_id, quarter, 'dataset_format', ARRAY[word_in(attributes, 'format')], NULL
        FROM happened WHERE kind = 'dataset.uploaded'
        UNION ALL
        SELECT owner_id, quarter, 'dataset_rows', ARRAY[size_class(number_in(attributes, '{rows}', 1e15))], NULL
        FROM happened WHERE kind = 'dataset.uploaded'
        UNION ALL
        SELECT owner_id, quarter, 'model_type', ARRAY[word_in(attributes, 'model_type')], NULL
        FROM happened WHERE kind = 'job.created'
        UNION ALL
        SELECT owner_id, quarter, kind, trained,
            CASE WHEN kind = 'job.succeeded' THEN number_in(attributes, '{quality_score}', 1) END
        FROM happened WHERE kind IN ('job.succeeded', 'job.failed')
        UNION ALL
        SELECT owner_id, quarter, kind, ARRAY[word_in(attributes, 'method')],
            number_in(attributes, '{gain}', 1e15)
        FROM happened WHERE kind IN ('study.succeeded', 'study.stopped', 'study.failed')
        UNION ALL
        SELECT owner_id, quarter, kind, ARRAY[]::text[], NULL
        FROM happened WHERE kind IN ('account.registered', 'account.deleted')
    )
    INSERT INTO facet_counts AS kept (owner_id, span, facet, start, label, count, measured, total)
    SELECT scope_id, span, facet, start, label, count(*), count(amount), coalesce(sum(amount), 0)
    FROM facts
    CROSS JOIN LATERAL (SELECT everybody UNION ALL SELECT owner_id WHERE owner_id <> everybody) AS scopes (scope_id)
    CROSS JOIN LATERAL (VALUES ('quarter', quarter), ('day', date_trunc('day', quarter, 'UTC'))) AS spans (span, start)
    GROUP BY scope_id, span, facet, start, label
    ON CONFLICT (owner_id, span, facet, start, label) DO UPDATE SET
        count = kept.count + excluded.count,
        measured = kept.measured + excluded.measured,
        total = kept.total + excluded.total;

    INSERT INTO user_actions AS kept (span, start, user_id, count)
    SELECT span, start, actor_id, count(*)
    FROM added
    CROSS JOIN LATERAL (SELECT quarter_of(occurred_time, clock_offset_seconds) AS quarter) AS happened
    CROSS JOIN LATERAL (VALUES ('quarter', quarter), ('day', date_trunc('day', quarter, 'UTC'))) AS spans (span, start)
    WHERE actor_id <> everybody
    GROUP BY span, start, actor_id
    ON CONFLICT (span, start, user_id) DO UPDATE SET count = kept.count + excluded.count;

    INSERT INTO standings AS kept (
        owner_id, object_type, object_id, rank, create_time, end_time, model_type, rows, quality_score
    )
    SELECT
        owner_id, split_part(kind, '.', 1), object_id, max(rank_of(kind)),
        min(moment) FILTER (WHERE kind IN ('job.created', 'dataset.uploaded')),
        min(moment) FILTER (WHERE kind IN ('job.succeeded', 'job.failed', 'job.cancelled', 'job.rejected')),
        max(word_in(attributes, 'model_type')) FILTER (WHERE kind = 'job.created'),
        max(number_in(attributes, '{rows}', 1e15)) FILTER (WHERE kind = 'job.succeeded'),
        max(number_in(attributes, '{quality_score}', 1)) FILTER (WHERE kind = 'job.succeeded')
    FROM added
    CROSS JOIN LATERAL (
        SELECT occurred_time - make_interval(secs => coalesce(clock_offset_seconds, 0)) AS moment
    ) AS happened
    WHERE owner_id <> everybody AND rank_of(kind) IS NOT NULL
    GROUP BY owner_id, split_part(kind, '.', 1), object_id
    ON CONFLICT (owner_id, object_type, object_id) DO UPDATE SET
        rank = greatest(kept.rank, excluded.rank),
        create_time = least(kept.create_time, excluded.create_time),
        end_time = least(kept.end_time, excluded.end_time),
        model_type = greatest(kept.model_type, excluded.model_type),
        rows = greatest(kept.rows, excluded.rows),
        quality_score = greatest(kept.quality_score, excluded.quality_score);
    RETURN NULL;
END
$$;

CREATE FUNCTION count_standings() RETURNS trigger LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    everybody CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO standing_counts AS kept (owner_id, object_type, rank, count)
        SELECT scope_id, object_type, rank, count(*) FROM gained
        CROSS JOIN LATERAL (VALUES (everybody), (owner_id)) AS scopes (scope_id)
        GROUP BY scope_id, object_type, rank
        ON CONFLICT (owner_id, object_type, rank) DO UPDATE SET count = kept.count + excluded.count;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        UPDATE standing_counts AS kept SET count = kept.count - gone.count
        FROM (
            SELECT scope_id, object_type, rank, count(*) AS count FROM lost
            CROSS JOIN LATERAL (VALUES (everybody), (owner_id)) AS scopes (scope_id)
            GROUP BY scope_id, object_type, rank
        ) AS gone
        WHERE (kept.owner_id, kept.object_type, kept.rank) = (gone.scope_id, gone.object_type, gone.rank);
    END IF;
    RETURN NULL;
END
$$;
"""

TRIGGERS = """
CREATE TRIGGER count_new_standings AFTER INSERT ON standings
    REFERENCING NEW TABLE AS gained FOR EACH STATEMENT EXECUTE FUNCTION count_standings();
CREATE TRIGGER count_changed_standings AFTER UPDATE ON standings
    REFERENCING OLD TABLE AS lost NEW TABLE AS gained FOR EACH STATEMENT EXECUTE FUNCTION count_standings();
CREATE TRIGGER count_lost_standings AFTER DELETE ON standings
    REFERENCING OLD TABLE AS lost FOR EACH STATEMENT EXECUTE FUNCTION count_standings();

-- Records that were there before are counted as they would have been: added to a table with the same trigger.
CREATE TABLE counted (LIKE records);
CREATE TRIGGER count_records AFTER INSERT ON counted
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_records();
-- From here on nobody adds any, until the transaction ends.
LOCK TABLE records IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO counted SELECT * FROM records;
DROP TABLE counted;

CREATE TRIGGER count_records AFTER INSERT ON records
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_records();
"""


def upgrade() -> None:
    op.create_table(
        "activity_quarters",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("quarter", MOMENT, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in DAILY),
        sa.Column("quality_total", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "quarter", name=op.f("pk_activity_quarters")),
    )
    op.create_table(
        "facet_counts",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("span", sa.Text(), nullable=False),
        sa.Column("facet", sa.Text(), nullable=False),
        sa.Column("start", MOMENT, nullable=False),
        sa.Column("label", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("measured", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint(
            "owner_id",
            "span",
            "facet",
            "start",
            "label",
            name=op.f("pk_facet_counts"),
            postgresql_include=["count", "measured", "total"],
        ),
    )
    op.create_table(
        "user_actions",
        sa.Column("span", sa.Text(), nullable=False),
        sa.Column("start", MOMENT, nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("span", "start", "user_id", name=op.f("pk_user_actions"), postgresql_include=["count"]),
    )
    op.create_index("ix_user_actions_user_id", "user_actions", ["user_id"])
    # What is everybody's lies among what is its users': it is read from an index that holds all there is to read.
    op.create_index(
        "ix_activity_quarters_everybodys",
        "activity_quarters",
        ["quarter"],
        postgresql_include=[*DAILY, "quality_total"],
        postgresql_where=sa.text("owner_id = '00000000-0000-0000-0000-000000000000'::uuid"),
    )
    op.create_table(
        "standings",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("object_type", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("create_time", MOMENT, nullable=True),
        sa.Column("end_time", MOMENT, nullable=True),
        sa.Column("model_type", sa.Text(), nullable=True),
        sa.Column("rows", sa.Numeric(), nullable=True),
        sa.Column("quality_score", sa.Numeric(), nullable=True),
        sa.PrimaryKeyConstraint("owner_id", "object_type", "object_id", name=op.f("pk_standings")),
    )
    there = sa.text("rank < 9 AND create_time IS NOT NULL")
    for name, columns in (
        ("ix_standings_latest_of_owner", ["owner_id", "object_type", "create_time", "object_id"]),
        ("ix_standings_latest", ["object_type", "create_time", "object_id"]),
    ):
        op.create_index(name, "standings", columns, postgresql_where=there)
    op.create_table(
        "standing_counts",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("object_type", sa.Text(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "object_type", "rank", name=op.f("pk_standing_counts")),
    )
    op.create_table(
        "request_counts",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("span", sa.Text(), nullable=False),
        sa.Column("start", MOMENT, nullable=False),
        sa.Column("rpc", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("requests", "errors", "failures", "request_bytes", "response_bytes", "microseconds")
        ),
        sa.PrimaryKeyConstraint("user_id", "span", "start", "rpc", name=op.f("pk_request_counts")),
    )
    op.create_table(
        "request_durations",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("span", sa.Text(), nullable=False),
        sa.Column("start", MOMENT, nullable=False),
        sa.Column("rpc", sa.Text(), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "span", "start", "rpc", "bucket", name=op.f("pk_request_durations")),
    )
    op.create_table(
        "requests_in_flight",
        sa.Column("process_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("rpc", sa.Text(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("told_time", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("process_id", "user_id", "rpc", name=op.f("pk_requests_in_flight")),
    )
    op.create_table(
        "request_batches",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("stored_time", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_request_batches")),
    )
    execute_script(FUNCTIONS)
    execute_script(TRIGGERS)


def downgrade() -> None:
    op.execute("DROP TRIGGER count_records ON records")
    for table in (
        "request_batches", "requests_in_flight", "request_durations", "request_counts", "standings", "standing_counts",
        "user_actions", "facet_counts", "activity_quarters",
    ):  # fmt: skip
        op.drop_table(table)
    for function in (
        "count_records", "count_standings", "rank_of", "bucket_of", "size_class", "word_in", "number_in", "quarter_of",
    ):  # fmt: skip
        op.execute(f"DROP FUNCTION {function}")
