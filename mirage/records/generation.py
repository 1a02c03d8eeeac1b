"""Jobs and models."""

from collections.abc import Iterable

from mirage.generation.v1 import job_pb2, model_pb2, personal_data_pb2
from mirage.records.base import Field, OptionalField, Record, from_struct, message_of, numbers, texts, time, word

ENDED_STATES = frozenset({"succeeded", "failed", "cancelled", "rejected"})


def kinds(columns: Iterable[personal_data_pb2.InventedColumn]) -> dict[str, str]:
    """Returns invented columns as a dict: the kind of personal data by column."""
    return {column.column: column.kind for column in columns}


job_state = word(job_pb2.JobState, "JOB_STATE_")


class Review(Record[job_pb2.Review]):
    """What an administrator has said to a job."""

    approved = Field("approved", bool, "Whether the job may run.")
    reason = Field("reason", str, "Why; may be empty where it is approved.")
    review_time = Field("review_time", time, "When that was.")

    def __repr__(self) -> str:
        return f"<Review {'approved' if self.approved else 'rejected'} {self.reason!r}>"


class JobFields(Record[job_pb2.Job]):
    """A model is trained on a dataset and rows are drawn from it."""

    id = Field("job_id", str, "The job's id.")
    name = Field("name", str, "Its name.")
    owner_id = Field("owner_id", str, "Who started it.")
    dataset_id = Field("dataset_id", str, "The dataset it learns.")
    state = Field("state", job_state, "Such as `queued`, `training` or `succeeded`.")

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED_STATES

    progress = Field("progress", float, "How much of it is done, 0 to 1.")
    stage = Field("stage", str, "What is being done, in words.")
    epoch = Field("epoch", int, "Epochs done.")
    epochs = Field("epochs", int, "Epochs to do; 0 for a model without epochs.")
    losses = Field("losses", numbers, "Losses of the latest epoch by name.")
    seconds_left = OptionalField("seconds_left", float, "Estimated seconds until the end; None when unknown.")
    rows = Field("sample_size", int, "Rows to draw.")
    seed = Field("seed", int, "The seed in force, given or drawn.")
    model_type = Field("model_type", str, "The model's type.")
    parameters = Field("model_config", from_struct, "The parameters in force, defaults and adjustments included.")
    adjustments = Field("adjustments", texts, "What the platform adjusted of the request, in words.")
    invented_columns = Field("invented_columns", kinds, "Columns of personal data, never learned: each with its kind.")
    output_format = Field("output_format", str, "The format of a download that names none.")
    model_id = Field("model_id", str, "The fitted model; empty before there is one.")
    error = Field("error", message_of, "Why it failed or was rejected; empty otherwise.")
    review = OptionalField("review", Review, "What an administrator has said to it; None where nobody has.")
    quality_score = OptionalField("quality_score", float, "How good the table is, 0 to 1; None before it is judged.")
    quality_problem = Field("quality_problem", str, "Why the table couldn't be judged; empty if it could.")
    study_id = Field("study_id", str, "The study that searched for its parameters; empty if none did.")
    table_sha256 = Field("table_sha256", str, "SHA-256 of the synthetic table (Parquet); empty before there is one.")
    attempts = Field("attempts", int, "How often a worker took it up: more than once where one was lost or stopped.")
    create_time = Field("create_time", time, "When its owner started it.")
    start_time = OptionalField("start_time", time, "When a worker first took it up; None before.")
    end_time = OptionalField("end_time", time, "When it ended; None before.")

    def __repr__(self) -> str:
        return f"<Job {self.name!r} {self.model_type}, {self.state} {self.progress:.0%}, {self.id}>"


class SearchProgress(Record[job_pb2.SearchProgress]):
    """How the search for a job's parameters stands."""

    study_id = Field("study_id", str, "The study.")
    trials_ended = Field("trials_ended", int, "Trials that have ended.")
    n_trials = Field("n_trials", int, "Trials to run.")
    best_trial = Field("best_trial", int, "Number of the best trial so far; 0 before there is one.")
    best_score = OptionalField("best_score", float, "Its score; None before there is one.")

    def __repr__(self) -> str:
        return f"<SearchProgress {self.trials_ended} of {self.n_trials} trials>"


class JobEvent(Record[job_pb2.JobEvent]):
    """Something that happened to a job."""

    sequence = Field("sequence", int, "The event's number among the job's, from 1, without gaps.")
    resume_token = Field("resume_token", str, "To watch on after this event.")
    kind = Field("kind", str, "`state`, `progress` or `notice`.")
    state = Field("state", job_state, "Where the job stands.")

    @property
    def ended(self) -> bool:
        """Whether it is the job's last event."""
        return self.state in ENDED_STATES

    progress = Field("progress", float, "How much of it is done, 0 to 1.")
    stage = Field("stage", str, "What is being done, in words.")
    epoch = Field("epoch", int, "Epochs done.")
    epochs = Field("epochs", int, "Epochs to do; 0 for a model without epochs.")
    losses = Field("losses", numbers, "Losses of the latest epoch by name.")
    scores = Field("scores", numbers, "How good a sample of rows after this epoch was, by metric; empty if none was.")
    rows_sampled = Field("rows_sampled", int, "Rows drawn so far.")
    seconds_left = OptionalField("seconds_left", float, "Estimated seconds until the end; None when unknown.")
    message = Field("message", str, "Something to tell the user; empty if nothing.")
    error = Field("error", message_of, "Why the job failed; empty otherwise.")
    time = Field("event_time", time, "When it happened.")
    review = OptionalField("review", Review, "What an administrator has said to it; None where nobody has.")
    quality_score = OptionalField("quality_score", float, "How good the table is, 0 to 1; None before it is judged.")
    search = OptionalField("search", SearchProgress, "How the search for its parameters stands; None without one.")

    def __repr__(self) -> str:
        return f"<JobEvent {self.sequence} {self.state} {self.progress:.0%} {self.stage!r}>"


class ModelFields(Record[model_pb2.Model]):
    """A fitted model."""

    id = Field("model_id", str, "The model's id.")
    name = Field("name", str, "Its job's name.")
    job_id = Field("job_id", str, "The job that fitted it.")
    dataset_id = Field("dataset_id", str, "The dataset it was fitted on.")
    model_type = Field("model_type", str, "Its type.")
    parameters = Field("model_config", from_struct, "The parameters it was fitted with.")
    seed = Field("seed", int, "The seed it was fitted with.")
    training_row_count = Field("training_row_count", int, "Rows it was fitted on.")
    training_seconds = Field("training_seconds", float, "Seconds that the fit took.")
    size_bytes = Field("model_bytes", int, "Bytes of the model as it is kept.")
    columns = Field("columns", texts, "The columns it makes, in order.")
    invented_columns = Field("invented_columns", kinds, "Those of personal data, which it invents: each with its kind.")
    create_time = Field("create_time", time, "When it was fitted.")

    def __repr__(self) -> str:
        return f"<Model {self.name!r} {self.model_type}, {self.id}>"


class Configuration(Record[job_pb2.Configuration]):
    """What can be asked of a job: model types with their parameters, formats and limits."""

    model_types: Field[list[job_pb2.ModelType]] = Field(
        "model_types", list, "The model types, with parameters and recommendations."
    )
    output_formats = Field("output_formats", texts, "Formats that a table can be downloaded in.")
    maximum_rows = Field("maximum_sample_size", int, "The most rows of one job.")

    def __repr__(self) -> str:
        return f"<Configuration {', '.join(model.name for model in self.proto.model_types)}>"


class Validation(Record[job_pb2.JobValidation]):
    """What a request would do."""

    valid = Field("valid", bool, "Whether it would be accepted.")
    violations: Field[list[job_pb2.Violation]] = Field("violations", list, "What is wrong, one per wrong field.")
    adjustments = Field("adjustments", texts, "What would be adjusted, in words.")
    invented_columns = Field("invented_columns", kinds, "Columns of personal data, never learned: each with its kind.")
    parameters = Field("model_config", from_struct, "The parameters that would be in force.")
    estimated_seconds = OptionalField(
        "estimated_seconds", float, "Estimated seconds from start to end; None when it isn't valid."
    )
    estimated_memory_mb = OptionalField(
        "estimated_memory_mb", float, "Estimated peak memory of the training, in mebibytes; None when it isn't valid."
    )

    def __repr__(self) -> str:
        return f"<Validation {'valid' if self.valid else f'{len(self.proto.violations)} violations'}>"
