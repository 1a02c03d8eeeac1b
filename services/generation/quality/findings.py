"""The verdict in words, for whoever has to decide whether a table can be used and shared."""

from collections.abc import Sequence
from typing import Literal

from services.generation.quality.report import Figure, Finding, Part, PartName
from services.generation.quality.titles import PART_TITLES, metric_title

Verdict = Literal["good", "fair", "poor", "unknown"]

# Shares of the ceiling, or of 1 where there is none, from which a score is good and fair.
_GOOD, _FAIR = 0.95, 0.85
# The score of how columns hang together begins with 0 where nothing does, and has farther to go.
_GOOD_TOGETHER, _FAIR_TOGETHER = 0.9, 0.6
# Where real rows reach less of 1 than this, nothing can be told from a score beside theirs.
_LEAST_CEILING = 0.1
# A column, pair or triple is named if it falls short of its ceiling by more.
_SHORTFALL = 0.1
_NAMED = 3
_TELLING = {
    "ks_complement",
    "total_variation_complement",
    "missing_similarity",
    "correlation_similarity",
    "contingency_similarity",
    "mixed_similarity",
}

_OVERALL_UNKNOWN = "Rows never seen are too few to tell how good the synthetic table is altogether."
_OVERALL = {
    "good": "Altogether the synthetic table is about as good as other real rows would be.",
    "fair": "Altogether the synthetic table is usable, with differences that are worth knowing.",
    "poor": "Altogether the synthetic table falls far short of what real rows would do.",
}
# Where nothing says how far real rows get, nothing is said of them.
_OVERALL_ALONE = {"good": "In what could be measured, the synthetic table is much like the real one."}
_WORDS: dict[PartName, dict[str, str]] = {
    PartName.STATISTICAL_SIMILARITY: {
        "good": "Column by column, the synthetic table looks like the real one.",
        "fair": "Column by column, the synthetic table is like the real one, with differences that can be seen.",
        "poor": "Column by column, the synthetic table differs clearly from the real one.",
    },
    PartName.CORRELATION_PRESERVATION: {
        "good": "Columns hang together as they do in the real table.",
        "fair": "Columns hang together much as they do in the real table, with differences that can be seen.",
        "poor": "Columns go together otherwise than in the real table: what several say at once may be wrong.",
    },
    PartName.ML_EFFICACY: {
        "good": "The model that was tried learns from synthetic rows about as well as from real ones.",
        "fair": "The model that was tried learns somewhat less from synthetic rows than from real ones.",
        "poor": "The model that was tried learns much less from synthetic rows than from real ones.",
    },
    PartName.PRIVACY: {
        "good": "No attack found that the table tells of those it was learned from. That is no proof that none could.",
        "fair": "There are signs that the table tells a little of those it was learned from: look before sharing it.",
        "poor": "The table tells of those it was learned from. Don't share it before these figures are understood.",
    },
}


def findings(score: Figure | None, parts: Sequence[Part]) -> tuple[Finding, ...]:
    """What was found: of privacy first if that is poor, then altogether, then of each part."""
    verdicts = {part.name: _verdict(part.score, part.name) for part in parts}
    by_part = [_of_part(part, verdicts[part.name]) for part in parts]
    overall = _verdict(score)
    if verdicts.get(PartName.PRIVACY) == "poor":
        overall = "poor"
    altogether = [_altogether(score, overall, verdicts, [part.name for part in parts if part.score is None])]
    alarm = [finding for finding in by_part if finding.part == PartName.PRIVACY and finding.verdict == "poor"]
    return (*alarm, *altogether, *(finding for finding in by_part if finding not in alarm))


def _verdict(score: Figure | None, of: PartName | None = None) -> Verdict:
    if score is None:
        return "unknown"
    return _verdict_of(score.value, score, of)


def _verdict_of(value: float, score: Figure, of: PartName | None) -> Verdict:
    """The verdict on a value of a score, which needn't be the one that was measured."""
    ceiling = 1.0 if score.ceiling is None else score.ceiling
    # A leak is none the less one where chance alone could look as bad.
    if ceiling < _LEAST_CEILING and of is not PartName.PRIVACY:
        return "unknown"
    share = value / max(ceiling, _LEAST_CEILING)
    good, fair = (_GOOD_TOGETHER, _FAIR_TOGETHER) if of is PartName.CORRELATION_PRESERVATION else (_GOOD, _FAIR)
    if share >= good:
        return "good"
    # Real rows stay far below 1 here where they are few, so that without theirs a low score tells nothing.
    if score.ceiling is None and of in {None, PartName.CORRELATION_PRESERVATION}:
        return "unknown"
    return "fair" if share >= fair else "poor"


def _altogether(
    score: Figure | None, verdict: Verdict, verdicts: dict[PartName, Verdict], missing: Sequence[PartName]
) -> Finding:
    if score is None:
        return Finding(verdict="unknown", part="quality_score", text="Nothing could be measured; the parts say why.")
    words = _OVERALL_ALONE if score.ceiling is None else _OVERALL
    text = f"{words.get(verdict, _OVERALL_UNKNOWN)} {_read(score)}"
    if verdicts.get(PartName.PRIVACY) == "poor":
        text = f"However faithful it is, the table isn't fit to be shared, since privacy is poor. {_read(score)}"
    elif missing:
        told = " and ".join([PART_TITLES[missing[0]], *(PART_TITLES[name].lower() for name in missing[1:])])
        text += f" {told} couldn't be measured: the score says nothing of {'them' if len(missing) > 1 else 'it'}."
    return Finding(verdict=verdict, part="quality_score", text=text)


def _of_part(part: Part, verdict: Verdict) -> Finding:
    if part.score is None:
        return Finding(verdict="unknown", part=part.name, text=f"Not measured. {part.reason}")
    if verdict == "unknown":
        few = "Rows never seen are too few to tell: even they come to next to nothing here."
        none = "Without enough rows never seen nobody can tell whether columns hang together as they should."
        text = f"{none if part.score.ceiling is None else few} {_read(part.score)}"
        return Finding(verdict=verdict, part=part.name, text=text)
    text = f"{_WORDS[part.name][verdict]} {_read(part.score)}"
    if part.name is PartName.PRIVACY and verdict == "good":
        text += _blunt(part.score)
    if part.name is PartName.PRIVACY and verdict != "good":
        text += _worst(part)
    furthest = _furthest(part)
    if furthest:
        text += f" Furthest off: {'; '.join(furthest)}."
    return Finding(verdict=verdict, part=part.name, text=text)


def _blunt(score: Figure) -> str:
    """A warning where attacks that found nothing could have missed much: with few rows never seen."""
    if score.low is None or _verdict_of(score.low, score, PartName.PRIVACY) != "poor":
        return ""
    told = f"the interval reaches down to {score.low:.2f}, which would be poor"
    return f" With so few rows to attack, much could have been missed: {told}."


def _worst(part: Part) -> str:
    """What decides of a part whose score is that of its worst metric."""
    told = []
    for worst in (metric for metric in part.metrics if metric.weight > 0):
        usual = "" if worst.figure.ceiling is None else f" (real rows: {worst.figure.ceiling:.3g})"
        told.append(
            f" What decides is {metric_title(worst.name)}, {worst.figure.value:.3g}{usual}. {worst.description}"
        )
    return "".join(told)


def _read(score: Figure) -> str:
    """A score in a sentence."""
    spread = "" if score.low is None or score.high is None else f" (95 % interval {score.low:.2f} to {score.high:.2f})"
    if score.ceiling is None:
        return f"The score is {score.value:.2f}{spread} of 1; how much real rows would reach isn't known."
    return f"The score is {score.value:.2f}{spread}, where real rows reach {score.ceiling:.2f}."


def _furthest(part: Part) -> list[str]:
    """The columns and pairs that fall furthest short."""
    shortfalls: dict[tuple[str, ...], float] = {}
    for metric in part.metrics:
        for detail in metric.details if metric.name in _TELLING else ():
            if detail.figure.ceiling is not None:
                short = detail.figure.ceiling - detail.figure.value
                shortfalls[detail.columns] = max(short, shortfalls.get(detail.columns, 0.0))
    order = sorted(shortfalls, key=lambda columns: -shortfalls[columns])
    return [
        " and ".join(repr(name) for name in columns) for columns in order[:_NAMED] if shortfalls[columns] > _SHORTFALL
    ]
