"""What counts of a version's personal data: what the scan found, unless the dataset's owner has said otherwise."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from services.dataset.personal_data.kinds import CALLED, NONE, Finding, Kind

SCAN, USER = "scan", "user"
_MOST_NAMED = 20


class Held(NamedTuple):
    """What one column holds, as it is in force. `kind` is None where a user said that it holds nothing personal."""

    column: str
    kind: Kind | None
    locale: str
    confidence: float  # 0 to 1
    matching_share: float  # 0 to 1
    evidence: tuple[str, ...]
    decided_by: str


def in_force(
    columns: Sequence[str], findings: Sequence[Mapping[str, Any]] | None, by_hand: Mapping[str, Mapping[str, str]]
) -> list[Held]:
    """What is in force, in the columns' order; columns of which neither the scan nor a user said anything are left out.

    Args:
        columns: the version's columns.
        findings: what the scan found; None where the version was read before there was a scan.
        by_hand: what the owner has said, by column: `kind` (perhaps `none`) and `locale`.
    """
    found = {finding.column: finding for finding in map(Finding.model_validate, findings or ())}
    held = []
    for column in columns:
        if column in by_hand:
            held.append(_by_hand(column, by_hand[column], found.get(column)))
        elif column in found:
            finding = found[column]
            held.append(
                Held(
                    column=column,
                    kind=finding.kind,
                    locale=finding.locale,
                    confidence=finding.confidence,
                    matching_share=finding.matching_share,
                    evidence=finding.evidence,
                    decided_by=SCAN,
                )
            )
    return held


def personal(held: Sequence[Held]) -> dict[str, Held]:
    """Those columns that do hold personal data."""
    return {each.column: each for each in held if each.kind is not None}


def described(columns: Mapping[str, Kind], limit: int = _MOST_NAMED) -> str:
    """Columns with what is in them, for people."""
    shown = ", ".join(f"“{name}” ({CALLED[kind]})" for name, kind in list(columns.items())[:limit])
    return f"{shown} and {len(columns) - limit} more" if len(columns) > limit else shown


def _by_hand(column: str, said: Mapping[str, str], finding: Finding | None) -> Held:
    kind = None if said["kind"] == NONE else Kind(said["kind"])
    same = finding is not None and finding.kind is kind
    return Held(
        column=column,
        kind=kind,
        locale=said.get("locale", ""),
        confidence=1.0,
        matching_share=finding.matching_share if finding is not None and same else 0.0,
        evidence=finding.evidence if finding is not None and same else (),
        decided_by=USER,
    )
