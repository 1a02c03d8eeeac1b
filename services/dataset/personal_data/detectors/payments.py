"""Bank accounts (IBAN, ISO 13616) and card numbers (ISO/IEC 7812)."""

import re
from collections import Counter
from collections.abc import Iterator

from stdnum import iban, luhn

from services.dataset.personal_data.confidence import Test
from services.dataset.personal_data.countries import votes_of
from services.dataset.personal_data.evidence import CHECKSUM, PATTERN, Evidence, Hints, weigh
from services.dataset.personal_data.kinds import Kind
from services.dataset.personal_data.sampling import Sample

# Two check digits of 97, and the country's own length and form.
_IBAN_TEST = Test(strength=0.99, chance=0.01, enough=0.1)
_IBAN_FORM = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
# One check digit of ten, whatever the first digits are; numbers of anything may begin as those of cards do.
_CARD_TEST = Test(strength=0.95, chance=0.1, enough=0.7)
_CARD_DIGITS = re.compile(r"[0-9]{13,19}")
# First digits and lengths of the issuers' ranges (ISO/IEC 7812 registry, as the networks publish them).
_ISSUERS = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"  # Visa
    r"|(?:5[1-5][0-9]{4}|(?:222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{2})[0-9]{10}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|3(?:0[0-5]|[689][0-9])[0-9]{11}"  # Diners Club
    r"|(?:6011|65[0-9]{2}|64[4-9][0-9])[0-9]{12}"  # Discover
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12}"  # JCB
    r"|62[0-9]{14,17}"  # UnionPay
    r"|(?:50[0-9]{2}|5[6-9][0-9]{2}|6[0379][0-9]{2})[0-9]{9,15}"  # Maestro
)
_SEPARATORS = str.maketrans("", "", " -.")


def examine_ibans(sample: Sample, hints: Hints) -> Iterator[Evidence]:
    """Values that are an IBAN."""
    if sample.whole_numbers:
        return
    candidates = [compact for value in sample.values if _IBAN_FORM.fullmatch(compact := _compact(value))]
    if candidates:
        valid = [candidate for candidate in candidates if iban.is_valid(candidate, check_country=False)]
        yield from weigh(
            Kind.IBAN,
            sample,
            hints.get(Kind.IBAN),
            _IBAN_TEST,
            matching=len(valid),
            looking=len(candidates),
            by=(PATTERN, CHECKSUM),
            votes=votes_of(Counter(account[:2] for account in valid or candidates)),
            of_a_country=True,
        )


def examine_cards(sample: Sample, hints: Hints) -> Iterator[Evidence]:
    """Values that are the number of a payment card."""
    candidates = [compact for value in sample.values if _CARD_DIGITS.fullmatch(compact := _compact(value))]
    if candidates:
        yield from weigh(
            Kind.CARD_NUMBER,
            sample,
            hints.get(Kind.CARD_NUMBER),
            _CARD_TEST,
            matching=sum(_ISSUERS.fullmatch(digits) is not None and luhn.is_valid(digits) for digits in candidates),
            looking=len(candidates),
            by=(PATTERN, CHECKSUM),
        )


def _compact(text: str) -> str:
    return text.translate(_SEPARATORS).upper()
