"""Looks for personal data in a table: what each column holds, and in which language."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from services.dataset.personal_data.column_names import PLAIN, hints
from services.dataset.personal_data.confidence import IN_FORCE_FROM
from services.dataset.personal_data.countries import BY_LANGUAGE
from services.dataset.personal_data.detectors import DENSE, SPARSE
from services.dataset.personal_data.evidence import OTHER_COLUMNS, Evidence
from services.dataset.personal_data.kinds import Finding, Kind
from services.dataset.personal_data.sampling import Sample, samples

# Where the same values speak for several kinds equally, the more telling kind comes first.
_TELLING = (
    Kind.EMAIL,
    Kind.IBAN,
    Kind.NATIONAL_ID,
    Kind.CARD_NUMBER,
    Kind.IP_ADDRESS,
    Kind.PHONE_NUMBER,
    Kind.POSTAL_ADDRESS,
    Kind.STREET_ADDRESS,
    Kind.FULL_NAME,
    Kind.FIRST_NAME,
    Kind.LAST_NAME,
    Kind.POSTCODE,
    Kind.CITY,
)
# Cities and postcodes are anybody's, unless the table says whose.
_ONLY_WITH_OTHERS = frozenset({Kind.CITY, Kind.POSTCODE})
_WHOSE = frozenset({Kind.FULL_NAME, Kind.FIRST_NAME, Kind.LAST_NAME, Kind.POSTAL_ADDRESS, Kind.STREET_ADDRESS})
# How much the whole table's language is told by the countries in its values, by its names and streets, and by the names
# of its columns, which are English in many a table that isn't.
_COUNTRY_WEIGHT, _LANGUAGE_WEIGHT, _COLUMN_NAME_WEIGHT = 2.0, 1.0, 0.5
_ENGLISH_COLUMN_NAME_WEIGHT = 0.1
_GLIMPSE = 30
"""So many values show whether a kind that is in most of a column's values may be there at all."""
_AGREEMENT = 0.6
"""The share of a column's values that must be of one country or language for the column to be of it."""


class _Suspicion(NamedTuple):
    """A column and the kind that its values speak for most."""

    column: str
    evidence: Evidence
    language: str  # of the column's name, as two letters; perhaps none


def scan(table: Path) -> list[Finding]:
    """What personal data a table in a Parquet file holds, by column, in the columns' order.

    It looks at a bounded number of values of each column of text or integers; equal tables have equal findings.
    """
    suspicions = [suspicion for sample in samples(table) if (suspicion := _suspicion(sample)) is not None]
    whose = any(suspicion.evidence.kind in _WHOSE for suspicion in suspicions)
    personal = [each for each in suspicions if whose or each.evidence.kind not in _ONLY_WITH_OTHERS]
    common = _common_locale(personal)
    return [_finding(suspicion, common) for suspicion in personal]


def _suspicion(sample: Sample) -> _Suspicion | None:
    if not sample.values:
        return None
    named = hints(sample.name)
    glimpse = replace(sample, values=sample.values[:: max(1, len(sample.values) // _GLIMPSE)])
    found: list[Evidence] = []
    for detect in SPARSE:
        found += detect(sample, named)
    for detect in DENSE:
        # What is nowhere in a few of the values is not in most of them.
        if len(glimpse.values) == len(sample.values) or any(detect(glimpse, named)):
            found += detect(sample, named)
    certain = [evidence for evidence in found if evidence.confidence >= IN_FORCE_FROM]
    if not certain:
        return None
    best = max(certain, key=lambda evidence: (round(evidence.confidence, 3), -_TELLING.index(evidence.kind)))
    hint = named.get(best.kind)
    return _Suspicion(sample.name, best, hint.language if hint and hint.confidence >= PLAIN else "")


def _common_locale(suspicions: Sequence[_Suspicion]) -> str:
    """The locale for which most of the table speaks; empty if nothing does."""
    votes: Counter[str] = Counter()
    for _, evidence, language in suspicions:
        weight = _COUNTRY_WEIGHT if evidence.of_a_country else _LANGUAGE_WEIGHT
        for locale, share in _shares(evidence.votes).items():
            votes[locale] += weight * share * evidence.matching_share  # type: ignore[assignment] # any number counts
        if language:
            english = language == "en"
            votes[BY_LANGUAGE[language]] += _ENGLISH_COLUMN_NAME_WEIGHT if english else _COLUMN_NAME_WEIGHT  # type: ignore[assignment]
    return max(sorted(votes), key=votes.__getitem__, default="")


def _finding(suspicion: _Suspicion, common: str) -> Finding:
    evidence = suspicion.evidence
    locale = common
    shares = _shares(evidence.votes)
    most = max(sorted(shares), key=shares.__getitem__, default="")
    if most and shares[most] >= _AGREEMENT:
        # A country with several languages, and a language with several countries, are spoken for by the table's own.
        differs = most[-3:] != common[-3:] if evidence.of_a_country else most[:3] != common[:3]
        locale = most if differs else common
    sources = (*evidence.sources, OTHER_COLUMNS) if evidence.kind in _ONLY_WITH_OTHERS else evidence.sources
    return Finding(
        column=suspicion.column,
        kind=evidence.kind,
        locale=locale,
        confidence=round(evidence.confidence, 3),
        matching_share=round(evidence.matching_share, 3),
        evidence=sources,
    )


def _shares(votes: Mapping[str, float]) -> dict[str, float]:
    total = sum(votes.values())
    return {locale: count / total for locale, count in votes.items()} if total else {}
