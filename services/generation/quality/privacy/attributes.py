"""An attack that guesses what somebody would rather keep to themselves."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.generation.quality.parts import CalledOff, Floats
from services.generation.quality.privacy.measures import Measure, beyond_chance, measure
from services.generation.quality.privacy.nearest import nearest
from services.generation.quality.privacy.space import Space, ranks
from services.generation.quality.report import Detail
from services.generation.quality.resampling import draws, interval, shares
from services.generation.quality.tables import Comparison, Kind, Table

# How far off, in ranks, a guess at a number may be to be right.
_CLOSE_ENOUGH = 0.05
_LEAST_PEOPLE = 20
# Where nearly everybody is guessed right, one more or less would be all the difference.
_LEAST_ROOM = 0.2
_PURPOSE = 35

Right = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Guesses:
    """Which guesses were right, of the people trained on and of others, each of shape (people,)."""

    column: str
    members: Right
    others: Right


def attributes(
    comparison: Comparison, members: Table, others: Table, synthetic: Table, called_off: CalledOff
) -> list[Measure]:
    """How much better an attacker who knows all the rest guesses a sensitive column of people trained on.

    The attacker looks up the synthetic row that is nearest in all other columns and takes its value; a number is right
    within 5 % of ranks. The risk is (right of members - right of others) / (1 - right of others), with 0.2 in place of
    a smaller divisor, as in Giomi, Boenisch, Wehmeyer & Tasnádi 2023 ("A unified framework for quantifying privacy risk
    in synthetic data", section 3): what holds of everybody is what the table is for, and not a leak. With several
    columns it is the highest.
    """
    generator = draws(comparison.seed, _PURPOSE)
    everything = [_guesses(comparison, name, (members, others), synthetic, called_off) for name in comparison.sensitive]
    known = [guesses for guesses in everything if guesses is not None]
    if not known:
        return []
    risks, replicates, counted, ideal = [], [], [], []
    for guesses in known:
        of_members, of_others = float(guesses.members.mean()), float(guesses.others.mean())
        pooled = float(np.concatenate([guesses.members, guesses.others]).mean())
        people = len(guesses.members), len(guesses.others)
        risk = _risk(of_members, of_others)
        drawn = _risk(shares(of_members, people[0], generator), shares(of_others, people[1], generator))
        by_chance = _risk(shares(pooled, people[0], generator), shares(pooled, people[1], generator))
        risks.append(max(0.0, float(risk)))
        replicates.append(np.maximum(drawn, 0.0))
        counted.append(float(beyond_chance(risk, by_chance)))
        ideal.append(beyond_chance(by_chance, by_chance))
    worst = int(np.argmax(risks))
    return [
        measure(
            "attribute_inference",
            "How much more often an attacker who knows everything else of somebody guesses a sensitive column right by "
            "the synthetic rows if that person was trained on than if not, as a share of what could go wrong; the "
            "highest of the columns.",
            interval(risks[worst], replicates[worst], 0.0),
            (1 - max(counted), 1 - np.max(replicates, axis=0), 1 - np.max(ideal, axis=0)),
            details=tuple(
                Detail(columns=(guesses.column,), figure=interval(risk, draws_of, 0.0))
                for guesses, risk, draws_of in zip(known, risks, replicates, strict=True)
            ),
        ),
        _success(known, generator),
    ]


def _success(known: list[_Guesses], generator: np.random.Generator) -> Measure:
    rates = [(float(guesses.members.mean()), float(guesses.others.mean())) for guesses in known]
    members, others = (float(np.mean(each)) for each in zip(*rates, strict=True))
    drawn = [shares(own, len(guesses.members), generator) for guesses, (own, _) in zip(known, rates, strict=True)]
    return measure(
        "attribute_guesses",
        "How often those guesses are right of people trained on; the ceiling is how often they are of others.",
        interval(members, np.mean(drawn, axis=0), others),
        details=tuple(
            Detail(columns=(guesses.column,), figure=interval(own, draws_of, their))
            for guesses, (own, their), draws_of in zip(known, rates, drawn, strict=True)
        ),
    )


def _risk(members: float | Floats, others: float | Floats) -> Floats:
    room = np.maximum(1 - np.asarray(others), _LEAST_ROOM)
    risk: Floats = (np.asarray(members) - others) / room
    return risk


def _guesses(
    comparison: Comparison, name: str, people: tuple[Table, Table], synthetic: Table, called_off: CalledOff
) -> _Guesses | None:
    """Guesses at a column of people who have a value in it; None if there are too few or nothing else is known."""
    index = next(index for index, column in enumerate(synthetic.columns) if column.name == name)
    space = Space(comparison.training, without=name)
    if not space.columns or not len(synthetic):
        return None
    found = []
    for table in people:
        asked = table.take(_present(table, index))
        if len(asked) < _LEAST_PEOPLE:
            return None
        place = nearest(space.points(asked), space.points(synthetic), called_off).index
        found.append(_right(comparison.training, asked, synthetic.take(place), index))
    return _Guesses(name, *found)


def _present(table: Table, index: int) -> Right:
    values = table.values[index]
    return values >= 0 if table.columns[index].kind == Kind.CATEGORY else ~np.isnan(values)


def _right(real: Table, people: Table, guessed: Table, index: int) -> Right:
    if real.columns[index].kind == Kind.CATEGORY:
        right: Right = people.values[index] == guessed.values[index]
    else:
        right = np.abs(ranks(real, people, index) - ranks(real, guessed, index)) <= _CLOSE_ENOUGH
    return right
