"""Numbers by which states know people: France, United States, United Kingdom, Germany, Spain, Italy."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.it import codicefiscale
from stdnum.us import itin, ssn

from services.dataset.personal_data.confidence import Test
from services.dataset.personal_data.countries import locale_of
from services.dataset.personal_data.evidence import CHECKSUM, PATTERN, Evidence, Hints, weigh
from services.dataset.personal_data.kinds import Kind
from services.dataset.personal_data.sampling import Sample


@dataclass(frozen=True)
class NationalId:
    """One kind of number.

    Attributes:
        country: two letters.
        form: what it looks like, compact.
        written: what it looks like where its form alone says little; else as `form`.
        is_valid: its rules: ranges, check digits.
        test: how well these tell it.
        by: what they go by.
    """

    country: str
    form: re.Pattern[str]
    is_valid: Callable[[str], bool]
    test: Test
    by: tuple[str, ...] = (PATTERN, CHECKSUM)
    written: re.Pattern[str] | None = None


# National Insurance number: prefixes never given out (HMRC, National Insurance Manual NIM39110).
_NINO = re.compile(r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]")
_NINO_FORM = re.compile(r"[A-Z]{2}[0-9]{6}[A-Z]")

KNOWN = (
    # Sex, year, month, department, commune, order, two check digits of 97.
    NationalId(
        "FR",
        re.compile(r"[1-478][0-9]{4}(?:[0-9]{2}|2[AB])[0-9]{8}"),
        nir.is_valid,
        Test(0.98, chance=0.02, enough=0.5),
    ),
    # No check digit; the hyphens are its mark.
    NationalId(
        "US",
        re.compile(r"[0-9]{9}"),
        lambda text: ssn.is_valid(text) or itin.is_valid(text),
        Test(0.85, enough=0.8),
        (PATTERN,),
        re.compile(r"[0-9]{3}([ -])[0-9]{2}\1[0-9]{4}"),
    ),
    NationalId(
        "GB", _NINO_FORM, lambda text: bool(_NINO.fullmatch(text)), Test(0.9, chance=0.1, enough=0.7), (PATTERN,)
    ),
    # NHS number: one check digit of 11.
    NationalId("GB", re.compile(r"[0-9]{10}"), nhs.is_valid, Test(0.9, chance=0.1, enough=0.8)),
    # Tax id: one check digit of ten, and one digit that occurs two or three times.
    NationalId("DE", re.compile(r"[1-9][0-9]{10}"), idnr.is_valid, Test(0.95, chance=0.1, enough=0.8)),
    # DNI and NIE: a letter of 23.
    NationalId(
        "ES",
        re.compile(r"[XYZ0-9][0-9]{7}[A-Z]"),
        lambda text: dni.is_valid(text) or nie.is_valid(text),
        Test(0.97, chance=0.05, enough=0.5),
    ),
    # Letters of the name, date and place of birth, a check letter of 26.
    NationalId(
        "IT",
        re.compile(r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-EHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]"),
        codicefiscale.is_valid,
        Test(0.98, chance=0.02, enough=0.5),
    ),
    # Pension insurance number: area, birthday, initial, serial, check digit; told by its form and the column's name.
    NationalId("DE", re.compile(r"[0-9]{8}[A-Z][0-9]{3}"), lambda _: False, Test(0.0)),
)
_SEPARATORS = str.maketrans("", "", " -./")
_LONGEST = 24
# All of them have digits, and so many characters.
_FORM = re.compile(r"(?=[A-Z]*[0-9])[A-Z0-9]{9,16}")


def examine(sample: Sample, hints: Hints) -> Iterator[Evidence]:
    """Values that are a number of one of the countries; the country with the best evidence."""
    hint = hints.get(Kind.NATIONAL_ID)
    short = [
        (value, compact)
        for value in sample.values
        if len(value) <= _LONGEST and _FORM.fullmatch(compact := value.translate(_SEPARATORS).upper())
    ]
    if not short:
        return
    best: Evidence | None = None
    for known in KNOWN:
        looking = [(value, compact) for value, compact in short if known.form.fullmatch(compact)]
        if not looking:
            continue
        marked = [compact for value, compact in looking if known.written is None or known.written.fullmatch(value)]
        for evidence in weigh(
            Kind.NATIONAL_ID,
            sample,
            hint,
            known.test,
            matching=sum(map(known.is_valid, marked)),
            looking=len(looking),
            by=known.by,
            votes={locale_of(known.country): len(looking)},
            of_a_country=True,
        ):
            if best is None or evidence.confidence > best.confidence:
                best = evidence
    if best is not None:
        yield best
