"""How a judged table was made, as the report's page tells it: groups of labelled values."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict


class FactGroup(BaseModel):
    """Facts that belong together, each a label and a value, in words."""

    model_config = ConfigDict(frozen=True)

    title: str
    facts: tuple[tuple[str, str], ...]


class Facts(BaseModel):
    """What the page says beside the report: what was judged, and how it was made."""

    model_config = ConfigDict(frozen=True)

    title: str
    made_at: str
    groups: tuple[FactGroup, ...] = ()
    warnings: tuple[str, ...] = ()


def job_facts(document: Mapping[str, Any]) -> Facts:
    """The facts in the document that says how a job's table was made."""
    dataset, settings, table, model = (document[name] for name in ("dataset", "settings", "table", "model"))
    timings = document["timings"]
    return Facts(
        title=document["name"],
        made_at=timings["end_time"] or "",
        groups=(
            _group(
                "The real table",
                ("Dataset", dataset["name"]),
                ("Dataset id", dataset["dataset_id"]),
                ("Version", dataset["version"]),
                ("Rows", dataset["row_count"]),
                ("SHA-256", dataset["sha256"]),
            ),
            _group(
                "Engine and settings",
                ("Engine", settings["engine"]),
                ("Model type", settings["model_type"]),
                *((name, value) for name, value in sorted(settings["model_config"].items())),
                ("Seed", settings["seed"]),
                ("Share of rows kept from training", settings["holdout_fraction"]),
                ("Conditions", settings["conditions"]),
                ("Study that searched for the settings", document.get("study_id")),
            ),
            _group(
                "The synthetic table",
                ("Job", document["job_id"]),
                ("Rows", table["row_count"]),
                ("SHA-256", table["sha256"]),
                ("Model id", model.get("model_id")),
                ("Model's SHA-256", model.get("sha256")),
            ),
            _group("Versions", *sorted(document["versions"].items())),
            _group(
                "Time",
                ("Asked for", timings["create_time"]),
                ("Ended", timings["end_time"]),
                *((f"Seconds of {stage}", round(seconds, 1)) for stage, seconds in timings["seconds"].items()),
            ),
        ),
        warnings=tuple(_warnings(settings["adjustments"], table["personal_data"])),
    )


def _warnings(adjustments: Sequence[str], personal_data: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from adjustments
    if personal_data:
        columns = ", ".join(str(finding["column"]) for finding in personal_data)
        yield (
            f"Columns of personal data were not learned. Their values are invented, and no figure here is about them: "
            f"{columns}."
        )


def _group(title: str, *facts: tuple[str, object]) -> FactGroup:
    """A group of the facts that there are."""
    known = ((label, _words(value)) for label, value in facts if value not in (None, "", {}, []))
    return FactGroup(title=title, facts=tuple(known))


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {_words(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
