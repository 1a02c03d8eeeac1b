"""Figures of what happened."""

from datetime import date
from typing import Any, TypeVar

from mirage.activity.v1 import statistics_pb2 as pb
from mirage.records.base import Field, OptionalField, Record, time

RecordT = TypeVar("RecordT", bound=Record[Any])


def _records(kind: type[RecordT]) -> Any:
    def convert(messages: Any) -> list[RecordT]:
        return [kind(message) for message in messages]

    return convert


def _counts(messages: Any) -> dict[str, int]:
    return {message.name: message.count for message in messages}


def _states(message: pb.JobStates) -> dict[str, int]:
    return {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}


def _sizes(messages: Any) -> dict[str, int]:
    return {rows_of(message): message.count for message in messages}


def rows_of(message: Any) -> str:
    """Returns a class of sizes as people say it, such as `1,000 to 9,999`."""
    if not message.HasField("minimum_rows"):
        return "unknown"
    least = f"{message.minimum_rows:,.0f}"
    return f"{least} to {message.maximum_rows:,.0f}" if message.HasField("maximum_rows") else f"{least} or more"


class Distribution(Record[pb.Distribution]):
    """How a quantity is distributed; percentiles are within 4.4 per cent."""

    count = Field("count", int, "How many values.")
    mean = OptionalField("mean", float, "Their mean; None where there is none.")
    p50 = OptionalField("p50", float, "The value that half of them don't exceed.")
    p95 = OptionalField("p95", float, "The value that 95 per cent of them don't exceed.")
    p99 = OptionalField("p99", float, "The value that 99 per cent of them don't exceed.")

    def __repr__(self) -> str:
        return f"<Distribution of {self.count}, mean {self.mean}>"


class Period(Record[pb.Period]):
    """The days that figures are about."""

    start_time = Field("start_time", time, "When the first day begins.")
    end_time = Field("end_time", time, "When the last day ends.")
    time_zone = Field("time_zone", str, "The time zone in which they begin and end.")
    days = Field("days", int, "How many they are.")

    def __repr__(self) -> str:
        return f"<Period of {self.days} days, {self.time_zone}>"


class DayActivity(Record[pb.DayActivity]):
    """What happened on a day."""

    date = Field("date", date.fromisoformat, "The day.")
    events = Field("events", int, "Everything that happened.")
    sign_ins = Field("sign_ins", int, "Sessions begun.")
    uploads = Field("uploads", int, "Datasets and versions uploaded.")
    jobs_created = Field("jobs_created", int, "Jobs made.")
    jobs_succeeded = Field("jobs_succeeded", int, "Jobs that succeeded.")
    jobs_failed = Field("jobs_failed", int, "Jobs that failed.")
    jobs_cancelled = Field("jobs_cancelled", int, "Jobs that were cancelled.")
    downloads = Field("downloads", int, "Tables, datasets and models taken away.")
    model_samples = Field("model_samples", int, "Times that rows were drawn from models.")
    reports_viewed = Field("reports_viewed", int, "Reports looked at.")
    searches = Field("searches", int, "Searches for parameters begun.")
    mean_quality = OptionalField("mean_quality", float, "Mean quality of the tables made, 0 to 1; None for none.")

    def __repr__(self) -> str:
        return f"<DayActivity {self.date}: {self.events} events>"


class RecentJob(Record[pb.RecentJob]):
    """A job, in short."""

    id = Field("job_id", str, "The job's id.")
    state = Field("state", str, "Where it stands, such as `running`.")
    model_type = Field("model_type", str, "Type of its model.")
    create_time = Field("create_time", time, "When it was made.")
    end_time = OptionalField("end_time", time, "When it ended; None where it hasn't.")
    quality_score = OptionalField("quality_score", float, "Quality of its table, 0 to 1.")
    rows = OptionalField("rows", float, "Rows of its table.")
    owner_id = Field("owner_id", str, "Whose it is.")

    def __repr__(self) -> str:
        return f"<RecentJob {self.id} {self.state}>"


class Storage(Record[pb.Storage]):
    """What is stored now."""

    dataset_bytes = Field("dataset_bytes", float, "Uploaded files and tables made of them, in bytes.")
    generation_bytes = Field("generation_bytes", float, "Synthetic tables and models, in bytes.")

    def __repr__(self) -> str:
        return f"<Storage {self.dataset_bytes + self.generation_bytes:.0f} bytes>"


class Dashboard(Record[pb.Dashboard]):
    """An overview: what there is now, and how it developed over a period."""

    period = Field("period", Period, "The days that figures of a period are about.")
    datasets = Field("datasets", int, "Datasets that there are.")
    jobs = Field("jobs", _states, "Jobs that there are, by state.")
    success_rate = OptionalField("success_rate", float, "The share of jobs that succeeded, 0 to 1; None for none.")
    mean_quality = OptionalField("mean_quality", float, "Mean quality of the tables made, 0 to 1; None for none.")
    storage = OptionalField("storage", Storage, "What is stored; None where nobody could be asked.")
    recent_jobs = Field("recent_jobs", _records(RecentJob), "The latest jobs, the newest first.")
    trend = Field("trend", _records(DayActivity), "What happened on each day, the first day first.")
    notes = Field("notes", list, "What is left out, and why.")

    def __repr__(self) -> str:
        return f"<Dashboard {self.datasets} datasets, {sum(self.jobs.values())} jobs>"


class Usage(Record[pb.Usage]):
    """How the platform was used over a period."""

    period = Field("period", Period, "The days.")
    events = Field("events", int, "Everything that happened.")
    activity = Field("activity", _records(DayActivity), "What happened on each day, the first day first.")
    session_seconds = Field("session_seconds", Distribution, "Lengths of the sessions that ended, in seconds.")
    formats = Field("formats", _counts, "Formats of new datasets, with how many.")
    dataset_rows = Field("dataset_rows", _sizes, "New datasets by their rows.")
    dataset_bytes = Field("dataset_bytes", Distribution, "Sizes of the files of new datasets, in bytes.")
    model_types = Field("model_types", _counts, "Types of models of the jobs made, with how many.")

    def __repr__(self) -> str:
        return f"<Usage {self.events} events in {self.period.days} days>"


class Workload(Record[pb.Workload]):
    """What the platform does at the moment."""

    running_jobs = Field("running_jobs", int, "Jobs that workers have in hand.")
    queue_length = Field("queue_length", int, "Jobs that wait for a worker.")
    oldest_wait_seconds = Field("oldest_wait_seconds", float, "How long the one that waits longest has waited.")
    workers = Field("workers", int, "Workers that are connected.")

    def __repr__(self) -> str:
        return f"<Workload {self.running_jobs} running, {self.queue_length} waiting>"


class BusyUser(Record[pb.BusyUser]):
    """A user, and how much they did."""

    user_id = Field("user_id", str, "Their id.")
    events = Field("events", int, "What they did.")

    def __repr__(self) -> str:
        return f"<BusyUser {self.user_id}: {self.events}>"


class UserActivity(Record[pb.UserActivity]):
    """Users by what they did."""

    registered = Field("registered", int, "Accounts made.")
    deleted = Field("deleted", int, "Accounts deleted.")
    active = Field("active", int, "Users who did anything.")
    busiest = Field("busiest", _records(BusyUser), "Who did most, the busiest first.")

    def __repr__(self) -> str:
        return f"<UserActivity {self.active} active>"


class SystemStatistics(Record[pb.SystemStatistics]):
    """Everybody's figures."""

    dashboard = Field("dashboard", Dashboard, "The overview, over everybody.")
    usage = Field("usage", Usage, "The usage, over everybody.")
    workload = OptionalField("workload", Workload, "What the platform does now; None where nobody could be asked.")
    users = Field("users", UserActivity, "Who is active.")

    def __repr__(self) -> str:
        return f"<SystemStatistics {self.users.active} active users>"


class RoutePerformance(Record[pb.RoutePerformance]):
    """Requests of one kind."""

    route = Field("route", str, "Method and path.")
    rpc = Field("rpc", str, "The RPC that serves it.")
    requests = Field("requests", int, "Requests that ended.")
    in_flight = Field("in_flight", int, "Requests that were under way seconds ago.")
    request_bytes = Field("request_bytes", float, "Size of the requests, in bytes.")
    response_bytes = Field("response_bytes", float, "Size of the answers, in bytes.")
    errors = Field("errors", int, "Requests that were refused or failed.")
    failures = Field("failures", int, "Those that failed by no fault of the caller's.")
    mean_seconds = OptionalField("mean_seconds", float, "Mean duration; None for streams.")
    p50_seconds = OptionalField("p50_seconds", float, "Duration that half of them don't exceed.")
    p95_seconds = OptionalField("p95_seconds", float, "Duration that 95 per cent of them don't exceed.")
    p99_seconds = OptionalField("p99_seconds", float, "Duration that 99 per cent of them don't exceed.")

    def __repr__(self) -> str:
        return f"<RoutePerformance {self.route}: {self.requests} requests>"


class ModelPerformance(Record[pb.ModelPerformance]):
    """Jobs of one type of model on tables of one size."""

    model_type = Field("model_type", str, "Type of the model.")
    succeeded = Field("succeeded", int, "Jobs that succeeded.")
    failed = Field("failed", int, "Jobs that failed.")
    success_rate = Field("success_rate", float, "The share that succeeded, 0 to 1.")
    mean_quality = OptionalField("mean_quality", float, "Mean quality of their tables, 0 to 1.")
    training_seconds = Field("training_seconds", Distribution, "How long the trainings took.")
    peak_memory_bytes = Field("peak_memory_bytes", Distribution, "The most memory that each took.")

    @property
    def rows(self) -> str:
        """Rows of the tables that were learnt, such as `1,000 to 9,999`."""
        return rows_of(self.proto)

    def __repr__(self) -> str:
        return f"<ModelPerformance {self.model_type}, {self.rows} rows>"


class SearchPerformance(Record[pb.SearchPerformance]):
    """Searches by one method."""

    method = Field("method", str, "The method.")
    succeeded = Field("succeeded", int, "Those that came to their end.")
    stopped = Field("stopped", int, "Those that somebody stopped.")
    failed = Field("failed", int, "Those that failed.")
    success_rate = Field("success_rate", float, "The share that didn't fail, 0 to 1.")
    mean_gain = OptionalField("mean_gain", float, "By how much the best trial was better than the first: the mean.")

    def __repr__(self) -> str:
        return f"<SearchPerformance {self.method}>"


class Performance(Record[pb.Performance]):
    """How fast and how well things went over a period."""

    period = Field("period", Period, "The days.")
    routes = Field("routes", _records(RoutePerformance), "Requests by what they asked for.")
    models = Field("models", _records(ModelPerformance), "Jobs by type of model and size of table.")
    searches = Field("searches", _records(SearchPerformance), "Searches by method.")

    def __repr__(self) -> str:
        return f"<Performance of {len(self.routes)} routes>"
