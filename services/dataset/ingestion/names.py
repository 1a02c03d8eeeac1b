"""Column names: unique and never empty, otherwise as the file has them."""

from collections.abc import Sequence

from services.dataset.ingestion.faults import Fault, Reason, named
from services.dataset.ingestion.tasks import Limits


def settled(names: Sequence[str], notes: list[str]) -> list[str]:
    """The names that columns get. Empty ones are numbered, repeated ones get a number; `notes` tells of both.

    Spaces around a name go, and so do null characters, which no database takes.
    """
    settled_names: list[str] = []
    taken: set[str] = {name for name in map(_clean, names) if name}
    unnamed, repeated = [], []
    for position, original in enumerate(names, start=1):
        name = _clean(original)
        if not name:
            name = _free(f"column_{position}", taken)
            unnamed.append(name)
        elif name in settled_names:
            name = _free(f"{name}_2", taken)
            repeated.append(name)
        taken.add(name)
        settled_names.append(name)
    if unnamed:
        notes.append(f"Columns without a name were called {named(unnamed)}.")
    if repeated:
        notes.append(f"Columns whose name occurred before were called {named(repeated)}.")
    return settled_names


def check_number(columns: int, limits: Limits) -> None:
    """Refuses a table with too many columns.

    Raises:
        Fault: there are more than allowed.
    """
    if columns > limits.max_columns:
        raise Fault(
            Reason.TOO_MANY_COLUMNS,
            f"The table has {columns:,} columns or more; at most {limits.max_columns:,} are read.",
        )


def _clean(name: str) -> str:
    return name.replace("\0", "").strip()


def _free(wanted: str, taken: set[str]) -> str:
    """A name that no column has: the wanted one, or with the next number."""
    stem, _, number = wanted.rpartition("_")
    count = int(number)
    while (name := f"{stem}_{count}") in taken:
        count += 1
    return name
