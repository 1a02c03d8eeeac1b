"""What a dataset's owner says of the personal data in its columns; kept by column name, for every version."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from servicekit.errors import Violation
from services.dataset.inputs import ColumnChange
from services.dataset.personal_data.in_force import Held
from services.dataset.personal_data.kinds import NONE

ByHand = dict[str, dict[str, str]]
"""By column: `kind` (perhaps `none`) and `locale`."""


class Corrected(NamedTuple):
    """What the owner has said now, and what is wrong with it."""

    by_hand: ByHand
    violations: list[Violation]


def corrected(
    by_hand: Mapping[str, Mapping[str, str]], held: Sequence[Held], changes: Sequence[ColumnChange]
) -> Corrected:
    """What the owner has said, with changes; `held` is what is in force without them."""
    said: ByHand = {column: dict(each) for column, each in by_hand.items()}
    before = {each.column: each for each in held}
    violations = []
    for index, change in enumerate(changes):
        if change.personal_data == "":
            said.pop(change.name, None)
            if change.personal_data_locale:
                violations.append(_locale_fault(index, "what the scan found has the language that it found"))
            continue
        if change.personal_data is None and change.personal_data_locale is None:
            continue
        now = before.get(change.name)
        kind = change.personal_data
        if kind is None and now is not None and now.kind is not None:
            kind = now.kind.value
        if kind in (None, NONE):
            if change.personal_data_locale:
                violations.append(
                    _locale_fault(index, f"column {change.name!r} holds no personal data: say what it holds")
                )
            if kind == NONE:
                said[change.name] = {"kind": NONE, "locale": ""}
            continue
        locale = change.personal_data_locale
        if locale is None:
            locale = now.locale if now is not None else ""
        said[change.name] = {"kind": str(kind), "locale": locale}
    return Corrected(said, violations)


def _locale_fault(index: int, fault: str) -> Violation:
    return Violation(f"columns.{index}.personal_data_locale", fault)
