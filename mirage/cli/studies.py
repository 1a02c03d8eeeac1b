"""`mirage optimize` and `studies …`."""

import json
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mirage.cli import exit_codes, output
from mirage.cli.session import Limit, Session, command
from mirage.cli.values import parsed
from mirage.cli.waiting import when_ready
from mirage.errors import InvalidRequest, NotFound
from mirage.study_progress import trials_table

if TYPE_CHECKING:
    from mirage.plain.client import Client
    from mirage.plain.studies import Study as PlainStudy
    from mirage.records.optimizer import BestTrial, StudyFields, StudyTrial

app = typer.Typer(help="Searches for the parameters that suit a table.", no_args_is_help=True)

Study = Annotated[
    str, typer.Argument(metavar="STUDY", help="The study's id, or `latest` for the newest.", show_default=False)
]


def add_to(main: typer.Typer) -> None:
    """Adds the command that stands alone."""
    main.command(rich_help_panel="Generation")(command(optimize))


def optimize(
    session: Session,
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="The dataset's id or name.", show_default=False)],
    model: Annotated[str, typer.Option("--model", "-m", help="The model to tune; see `mirage config`.")] = "ctgan",
    engine: Annotated[
        str, typer.Option("--engine", help="What trains: sdv or mirage; chosen by the model if absent.")
    ] = "",
    trials: Annotated[
        int | None, typer.Option("--trials", "-n", help="Trials to run; the platform's default if absent.")
    ] = None,
    method: Annotated[str, typer.Option("--method", help="bayesian, random, grid or hyperband.")] = "bayesian",
    metric: Annotated[
        str, typer.Option("--metric", help="What to optimise: quality_score, a part such as privacy, or its metric.")
    ] = "quality_score",
    search: Annotated[
        list[str] | None,
        typer.Option(
            "--search",
            "-s",
            metavar="NAME=RANGE",
            help='What to search, as epochs=[50,200] or pac={"choices":[1,10]}; may be repeated.',
        ),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter of every trial; may be repeated."),
    ] = None,
    cap: Annotated[
        list[str] | None,
        typer.Option(
            "--cap", metavar="METRIC=LIMIT", help="The most that the best may have of a metric; may be repeated."
        ),
    ] = None,
    objective: Annotated[
        list[str] | None, typer.Option("--objective", help="One of several metrics to optimise at once.")
    ] = None,
    acquisition: Annotated[
        str, typer.Option("--acquisition", help="EI, LCB, PI or gp_hedge, for a Bayesian search.")
    ] = "EI",
    parallel: Annotated[int | None, typer.Option("--parallel", help="Trials at once.")] = None,
    patience: Annotated[
        int | None, typer.Option("--patience", help="End when so many trials in a row were no better.")
    ] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds after which it ends.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Governs every random choice; drawn if absent.")] = None,
    target: Annotated[str, typer.Option("--target", help="The column that a model would predict.")] = "",
    holdout: Annotated[
        float | None,
        typer.Option(
            "--holdout-fraction", help="Share of rows kept from training to judge by, 0 to 0.5; 0.1 if absent."
        ),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="What to call the study.")] = "",
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show its trials until it ends; Ctrl-C stops the study.")
    ] = False,
) -> None:
    """Search for the parameters of a model that suit a dataset."""
    client = session.client
    study = client.optimize(
        dataset,
        model,
        trials,
        method=method,
        metric=metric,
        space=parsed("--search", search),
        acquisition=acquisition,
        caps=_caps(cap),
        objectives=objective or (),
        parallel=parallel,
        patience=patience,
        timeout_s=timeout,
        seed=seed,
        target_column=target,
        holdout_fraction=holdout,
        engine=engine,
        name=name,
        wait=False,
        parameters=parsed("--param", param),
    )
    if not watch:
        session.output.result(
            study.to_dict(), lambda: f"Started {study.id}.\nWatch it: mirage studies watch {study.id}"
        )
        return
    _follow(session, study, stop_when_interrupted=True)


@app.command("list")
@command
def list_studies(
    session: Session,
    state: Annotated[str, typer.Option("--state", help="Only those in this state, such as running.")] = "",
    dataset: Annotated[str, typer.Option("--dataset", help="Only those that learn this dataset (id or name).")] = "",
    limit: Limit = 20,
) -> None:
    """List studies, the newest first."""
    client = session.client
    dataset_id = client.datasets.get(dataset).id if dataset else ""
    found = client.studies.list(state=state, dataset_id=dataset_id, limit=limit)
    session.output.result([study.to_dict() for study in found], lambda: _table(found))


@app.command()
@command
def show(session: Session, study: Study) -> None:
    """Show where a study stands."""
    found = _find(session.client, study)
    session.output.result(found.to_dict(), lambda: _details(found))


@app.command()
@command
def trials(session: Session, study: Study) -> None:
    """List a study's trials."""
    found = _find(session.client, study)
    listed = found.trials()
    best = found.best_trial.number if found.best_trial else 0
    session.output.result([trial.to_dict() for trial in listed], lambda: trials_table(listed, best))


@app.command()
@command
def best(session: Session, study: Study) -> None:
    """Show the best trial so far, and how to generate with it."""
    found = _find(session.client, study)
    winner = found.best()
    session.output.result(winner.to_dict(), lambda: best_facts(found, winner))


@app.command()
@command
def watch(session: Session, study: Study) -> None:
    """Show trials until the study ends. Ctrl-C stops the watching, not the study. With --json: one event a line."""
    found = when_ready(lambda: _find(session.client, study))
    _follow(session, found, stop_when_interrupted=False)


@app.command()
@command
def stop(session: Session, study: Study) -> None:
    """Stop a study; the best so far stays."""
    found = _find(session.client, study).stop()
    session.output.result(found.to_dict(), lambda: f"{found.id} is {found.state}.")


def _find(client: "Client", study: str) -> "PlainStudy":
    if study != "latest":
        return client.studies.get(study)
    newest = client.studies.list(limit=1)
    if not newest:
        raise NotFound("You have no studies.", hint="`mirage optimize --dataset DATASET` starts one.")
    return newest[0]


def _follow(session: Session, study: "PlainStudy", *, stop_when_interrupted: bool) -> None:
    try:
        if session.output.as_json:
            for event in study.watch():
                session.output.event(event.to_dict())
            study.settle()
            return
        study = study.wait(session.progress)
    except KeyboardInterrupt:
        if stop_when_interrupted:
            study = study.stop()
            session.output.note(f"\nStopped {study.id}; the best so far stays: mirage studies best {study.id}")
        else:
            session.output.note(
                f"\nNobody watches any more; the study goes on.\n"
                f"Watch again: mirage studies watch {study.id}\nStop it:     mirage studies stop {study.id}"
            )
        raise typer.Exit(exit_codes.INTERRUPTED) from None
    winner = study.best()
    session.output.result(study.to_dict(), lambda: best_facts(study, winner))


def _caps(given: list[str] | None) -> dict[str, Any]:
    caps = parsed("--cap", given)
    for metric, limit in caps.items():
        if isinstance(limit, bool) or not isinstance(limit, int | float | dict):
            raise InvalidRequest(f"--cap {metric}: {limit} is no number.", reason="INVALID_OPTION")
    return {metric: limit if isinstance(limit, dict) else {"max": limit} for metric, limit in caps.items()}


def _table(studies: "list[PlainStudy]") -> RenderableType:
    return output.table(
        ["id", "name", "model", "method", "state", "#trials", "#best", "started"],
        [
            (
                study.id,
                study.name,
                study.model_type,
                study.method,
                output.state(study.state),
                f"{study.trials_ended}/{study.n_trials}",
                f"{study.best_trial.score:.4f}" if study.best_trial and study.best_trial.score is not None else "",
                output.when(study.create_time),
            )
            for study in studies
        ],
        empty="No studies. `mirage optimize --dataset DATASET` starts one.",
    )


def _details(study: "StudyFields") -> RenderableType:
    winner = study.best_trial
    return output.facts(
        [
            ("study", study.name),
            ("id", study.id),
            ("state", output.state(study.state)),
            ("ended by", study.end_reason),
            ("error", study.error),
            ("method", study.method),
            ("metric", ", ".join(study.objectives) or study.metric),
            ("trials", f"{study.trials_ended} of {study.n_trials}{_pruned(study.trials_pruned)}"),
            ("best", f"trial {winner.number}, {winner.score:.4f}" if winner and winner.score is not None else None),
            ("parameters", _assignments(winner.parameters) if winner else None),
            ("importance", _assignments(study.importances)),
            *(("note", note) for note in study.notes),
            ("model", study.model_type),
            ("engine", study.engine),
            ("dataset", study.dataset_id),
            ("seed", study.seed),
            ("job", study.job_id),
            ("started", output.when(study.create_time)),
            ("ended", output.when(study.end_time) if study.end_time else None),
        ]
    )


def _pruned(count: int) -> str:
    return f", {count} stopped early" if count else ""


def best_facts(study: "StudyFields", best: "BestTrial") -> RenderableType:
    """The best of a study and how to generate with it, or why there is none."""
    if best.trial is None:
        return _no_best(study)
    return output.facts(
        [
            ("trial", best.trial.number),
            ("score", f"{best.trial.score:.4f}" if best.trial.score is not None else None),
            ("parameters", _assignments(best.trial.parameters)),
            ("metrics", _assignments({name: round(value, 4) for name, value in _told(study, best.trial)})),
            ("importance", _assignments(best.importances)),
            ("Pareto set", ", ".join(str(trial.number) for trial in best.pareto)),
            ("model", best.trial.model_id),
            ("generate", generate_command(study, best)),
        ]
    )


def _no_best(study: "StudyFields") -> str:
    if study.error:
        return f"{study.id} has no best trial: {study.error}"
    if not study.ended:
        return f"{study.id} has no best trial yet: {study.trials_ended} of {study.n_trials} have ended."
    return (
        f"{study.id} has no best trial: each failed, was stopped, breaks a cap, or has no {study.metric}.\n"
        f"See them: mirage studies trials {study.id}"
    )


def _told(study: "StudyFields", trial: "StudyTrial") -> Iterable[tuple[str, float]]:
    """The score, its parts, and whatever else was sought or capped; --json has every metric."""
    sought = {study.metric, *study.objectives, *study.caps}
    return sorted((name, value) for name, value in trial.metrics.items() if "." not in name or name in sought)


def generate_command(study: "StudyFields", best: "BestTrial") -> str:
    """The command that generates with the best trial's parameters, as a shell reads it."""
    parameters = dict(best.model_config)
    words = ["mirage", "generate", study.dataset_id, "--model", parameters.pop("model_type", study.model_type)]
    if study.engine:
        words += ["--engine", study.engine]
    for name, value in parameters.items():
        words += ["--param", f"{name}={value if isinstance(value, str) else json.dumps(value, separators=(',', ':'))}"]
    return shlex.join(words)


def _assignments(values: dict[str, Any]) -> str | None:
    return ", ".join(f"{name}={value}" for name, value in values.items()) or None
