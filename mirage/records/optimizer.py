"""Studies and their trials."""

from typing import Any

from mirage.optimizer.v1 import study_pb2
from mirage.records.base import Field, OptionalField, Record, from_struct, message_of, numbers, texts, time, word

ENDED_STUDY_STATES = frozenset({"succeeded", "stopped", "failed"})

study_state = word(study_pb2.StudyState, "STUDY_STATE_")
trial_state = word(study_pb2.TrialState, "TRIAL_STATE_")


class StudyTrial(Record[study_pb2.StudyTrial]):
    """One training that a study has ordered."""

    number = Field("number", int, "Its number in the study, from 1.")
    state = Field("state", trial_state, "Such as `queued`, `running` or `succeeded`.")
    parameters = Field("parameters", from_struct, "The searched parameters in force.")
    score = OptionalField("score", float, "What the metric said; None before, and where it couldn't be computed.")
    objectives = Field("objectives", numbers, "What each objective said.")
    metrics = Field("metrics", numbers, "The score, the four parts and every metric, by name.")
    broken_caps = Field("broken_caps", texts, "Caps that it breaks: it is never the best then.")
    epoch = Field("epoch", int, "Epochs done.")
    epochs = Field("epochs", int, "Epochs to do; 0 for a model without epochs.")
    losses = Field("losses", numbers, "Losses of the latest epoch by name.")
    seconds = OptionalField("seconds", float, "Seconds that it took; None before it has ended.")
    attempts = Field("attempts", int, "How often it was run: more than once where a worker was lost.")
    model_id = Field("model_id", str, "The model, if it was the best of an ended study.")
    adjustments = Field("adjustments", texts, "What was adjusted, in words.")
    error = Field("error", message_of, "Why it failed; empty otherwise.")

    def __repr__(self) -> str:
        score = "" if self.score is None else f", {self.score:.4f}"
        return f"<StudyTrial {self.number} {self.state}{score}>"


def _trial(message: study_pb2.StudyTrial) -> StudyTrial:
    return StudyTrial(message)


def _trials(messages: Any) -> list[StudyTrial]:
    return [StudyTrial(message) for message in messages]


class StudyFields(Record[study_pb2.Study]):
    """A search for the parameters that suit a table."""

    id = Field("study_id", str, "The study's id.")
    name = Field("name", str, "Its name.")
    owner_id = Field("owner_id", str, "Who started it.")
    dataset_id = Field("dataset_id", str, "The dataset it learns.")
    state = Field("state", study_state, "`queued`, `running`, `succeeded`, `stopped` or `failed`.")

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED_STUDY_STATES

    model_type = Field("model_type", str, "The model's type.")
    engine = Field("engine", str, "What trains.")
    method = Field("optimization_method", str, "How it searches.")
    metric = Field("optimization_metric", str, "What it optimises.")
    objectives = Field("objectives", texts, "Metrics that are optimised at once; empty for one alone.")
    caps = Field("caps", from_struct, "By metric the most or the least that the best may have.")
    search_space = Field("search_space", from_struct, "By parameter its range or choices.")
    seed = Field("random_state", int, "The seed in force, given or drawn.")
    n_trials = Field("n_trials", int, "Trials to run.")
    trials_ended = Field("trials_ended", int, "Trials that have ended, whichever way.")
    trials_pruned = Field("trials_pruned", int, "Of those that have ended the ones that were stopped early.")
    best_trial = OptionalField("best_trial", _trial, "The best trial so far; None before there is one.")
    importances = Field("importances", numbers, "Importance of each searched parameter, together 1.")
    notes = Field("notes", texts, "What was left out or weighted otherwise, in words.")
    end_reason = Field("end_reason", str, "By what it ended; empty before.")
    error = Field("error", message_of, "Why it failed; empty otherwise.")
    job_id = Field("job_id", str, "The job that ordered it; empty if its owner did.")
    create_time = Field("create_time", time, "When its owner started it.")
    start_time = OptionalField("start_time", time, "When it was first taken up; None before.")
    end_time = OptionalField("end_time", time, "When it ended; None before.")

    def __repr__(self) -> str:
        return f"<Study {self.name!r} {self.method}, {self.state} {self.trials_ended}/{self.n_trials}, {self.id}>"


class BestTrial(Record[study_pb2.BestTrial]):
    """The best of a study so far."""

    study_id = Field("study_id", str, "The study's id.")
    state = Field("state", study_state, "Where the study stands.")
    trials_ended = Field("trials_ended", int, "Trials that have ended, whichever way.")
    n_trials = Field("n_trials", int, "Trials to run.")
    trial = OptionalField("trial", _trial, "The best trial; None before there is one.")
    pareto = Field("pareto", _trials, "With several objectives: the trials that none is better than in every one.")
    model_config = Field("model_config", from_struct, "What a generation takes to train with the best parameters.")
    importances = Field("importances", numbers, "Importance of each searched parameter, together 1.")

    def __repr__(self) -> str:
        return f"<BestTrial {self.trial!r}>"


class StudyEvent(Record[study_pb2.StudyEvent]):
    """Something that happened in a study."""

    sequence = Field("sequence", int, "The event's number among the study's, from 1, without gaps.")
    resume_token = Field("resume_token", str, "To watch on after this event.")
    kind = Field(
        "kind", str, "`state`, `trial_started`, `epoch`, `trial_ended`, `best`, `importance`, `notice` or `heartbeat`."
    )
    state = Field("state", study_state, "Where the study stands.")

    @property
    def ended(self) -> bool:
        """Whether it is the study's last event."""
        return self.kind == "state" and self.state in ENDED_STUDY_STATES

    trials_ended = Field("trials_ended", int, "Trials that have ended.")
    n_trials = Field("n_trials", int, "Trials to run.")
    trial = OptionalField("trial", _trial, "The trial that it is about; None otherwise.")
    best_number = Field("best_number", int, "Number of the best trial so far; 0 before there is one.")
    best_score = OptionalField("best_score", float, "Its score; None before there is one.")
    importances = Field("importances", numbers, "Importance of each searched parameter.")
    message = Field("message", str, "Something to tell the user; empty if nothing.")
    error = Field("error", message_of, "Why the study failed; empty otherwise.")
    time = Field("event_time", time, "When it happened.")

    def __repr__(self) -> str:
        return f"<StudyEvent {self.sequence} {self.kind} {self.trials_ended}/{self.n_trials}>"
