"""What of a table's quality can't be measured, as far as it can be told before anything is made of it.

What only the rows themselves could tell isn't looked at, so that nothing is ruled out which might be measured.
"""

from collections.abc import Iterator, Mapping

from servicekit.column_types import ColumnRole, ColumnType
from services.generation.planning import Plan
from services.generation.quality.report import PartName
from services.generation.quality.targets import LEAST_PRESENT, LEAST_VALUES, MOST_CLASSES
from services.generation.sources import ColumnFacts
from services.generation.tables.columns import ColumnSpec
from services.generation.tables.holdout import LEAST_ROWS, holdout_row_count

# Real rows that nobody has learned: so many are needed to test a model, and to hold distances against.
LEAST_UNSEEN = 20

_MADE = {ColumnType.IDENTIFIER, ColumnType.TEXT}
_CLASSES = {ColumnType.CATEGORICAL, ColumnType.BOOLEAN}
_NUMBERS = {ColumnType.INTEGER, ColumnType.FLOAT}


def unmeasurable(plan: Plan) -> dict[str, str]:
    """Parts of the quality that can't be measured, each with the reason."""
    found = {}
    facts = plan.source.facts
    compared = [spec for spec in plan.column_specs if _is_compared(spec)]
    varying = [spec for spec in compared if spec.name not in facts or facts[spec.name].distinct_count > 1]
    if not compared:
        found[PartName.STATISTICAL_SIMILARITY] = "It has no column that could be compared."
    if len(varying) < 2:
        found[PartName.CORRELATION_PRESERVATION] = "It takes two columns that aren't the same in every row."
    unseen = holdout_row_count(plan.source.row_count, plan.request.holdout_fraction)
    if unseen < LEAST_UNSEEN:
        why = _why_unseen(plan, unseen)
        found[PartName.ML_EFFICACY] = f"A model can only be tested on rows that the generator never saw. {why}"
        found[PartName.PRIVACY] = f"Privacy is judged against rows that the generator never saw. {why}"
    elif not any(_is_target(spec, facts, plan.source.row_count) for spec in varying):
        found[PartName.ML_EFFICACY] = "It has no column that a model could predict."
    return {str(part): reason for part, reason in found.items()}


def _why_unseen(plan: Plan, unseen: int) -> str:
    rows = plan.source.row_count
    if not plan.request.holdout_fraction:
        return "With holdout_fraction 0 there are none."
    if rows < LEAST_ROWS:
        return f"Of a table of {rows} rows none are held out; it takes {LEAST_ROWS}."
    return f"With this holdout_fraction there are {unseen}; it takes {LEAST_UNSEEN}."


def _is_compared(spec: ColumnSpec) -> bool:
    return spec.personal_data is None and spec.role is not ColumnRole.PRIMARY_KEY and spec.type not in _MADE


def _is_target(spec: ColumnSpec, facts: Mapping[str, ColumnFacts], rows: int) -> bool:
    """Whether a column might be predicted."""
    known = facts.get(spec.name)
    if known is None:
        return spec.type in _CLASSES | _NUMBERS
    return not any(_faults(spec, known, rows))


def _faults(spec: ColumnSpec, known: ColumnFacts, rows: int) -> Iterator[bool]:
    present = rows - known.missing_count
    yield present < max(LEAST_PRESENT, rows / 2)
    if spec.type in _CLASSES:
        # Of more classes than these a few may have no row among those to train on, but not half of them.
        yield not 2 <= known.distinct_count <= 2 * MOST_CLASSES
    else:
        yield spec.type not in _NUMBERS or known.distinct_count < LEAST_VALUES
