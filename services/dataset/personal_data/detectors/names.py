"""Names of people, by lists of first and last names of many languages and by the column's name."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import NamedTuple

from services.dataset.personal_data.column_names import AMBIGUOUS, Hint, names_a_thing
from services.dataset.personal_data.confidence import Test
from services.dataset.personal_data.evidence import KNOWN_VALUES, PATTERN, Evidence, Hints, weigh
from services.dataset.personal_data.kinds import Kind
from services.dataset.personal_data.sampling import Sample
from services.dataset.personal_data.words import folded, words

# The lists are Faker's, which come from the countries' own statistics of names.
_LOCALES = words(
    "en_US en_GB fr_FR de_DE es_ES it_IT pt_PT pt_BR nl_NL pl_PL sv_SE da_DK no_NO fi_FI cs_CZ hu_HU ro_RO hr_HR"
    " tr_TR ru_RU uk_UA bg_BG el_GR ja_JP zh_CN ko_KR en_IN"
)
# Towns, months, colours and brands are called like people: of a column of cities, up to a third of the values are.
_ONE_NAME = Test(strength=0.8, chance=0.3, enough=0.4)
# A first name beside a last name is hardly anything else.
_WHOLE_NAME = Test(strength=0.95, chance=0.1, enough=0.3)
_FEWEST = 20
"""With fewer different values than these, what they are tells only together with the column's name."""
_MOST_ORGANISATIONS = 0.03
"""In a column of companies some are called like people; the others tell."""
_ORGANISATION = re.compile(
    r"\b(?:inc|ltd|llc|llp|plc|corp|gmbh|ag|kg|ohg|mbh|ug|e\.?v|s\.?a\.?r\.?l|sas|sarl|s\.a|s\.?l\.?u?|s\.?p\.?a|s\.?r\.?l"
    r"|s\.?n\.?c|bv|nv|ab|oy|group|gruppe|groupe|holding|sons|fils|hermanos|fratelli|stiftung|company|co)\b\.?$"
    r"|&|\band sons\b|\bet fils\b|\be figli\b",
    re.IGNORECASE,
)
_LONGEST = 80  # characters
_MOST_WORDS = 6
_SINGLE = re.compile(r"[^\W\d_]+(?:[ '’\-.]{1,2}[^\W\d_]+){0,3}\.?")
_WHOLE = re.compile(r"[^\W\d_]+\.?(?:[ '’\-,.]{1,3}[^\W\d_]+\.?){1,7}|[^\W\d_]{2,5}")
_WORDS = re.compile(r"[^\W\d_]+")
_TITLES = words(
    "mr mrs ms miss dr prof sir m mme mlle monsieur madame herr frau hr fr dipl ing sr sra srta don dona sig"
    " sigra dott dottssa jr ii iii iv md phd dds dvm msc bsc mba"
)
_PARTICLES = words("de da do dos das del della di du d la le l van von der den ter zu y e al el bin ben mac mc o st")


class _Lists(NamedTuple):
    """The locales that know a word, as a first and as a last name."""

    first: Mapping[str, tuple[str, ...]]
    last: Mapping[str, tuple[str, ...]]


class _Counts(NamedTuple):
    """Of a column's values, how many are what; and how many look like a name at all."""

    first: int
    last: int
    whole: int
    looking_single: int
    looking_whole: int
    organisations: int


def examine(sample: Sample, hints: Hints) -> Iterator[Evidence]:
    """Values that are a first name, a last name or both."""
    if sample.whole_numbers:
        return
    firsts: Counter[str] = Counter()
    lasts: Counter[str] = Counter()
    wholes: Counter[str] = Counter()
    counts = _count(sample.values, firsts, lasts, wholes)
    few = len(sample.values) < _FEWEST
    of_things = names_a_thing(sample.name) or counts.organisations > _MOST_ORGANISATIONS * len(sample.values)
    for kind, test, matching, looking, votes in (
        (Kind.FIRST_NAME, _ONE_NAME, counts.first, counts.looking_single, firsts),
        (Kind.LAST_NAME, _ONE_NAME, counts.last, counts.looking_single, lasts),
        (Kind.FULL_NAME, _WHOLE_NAME, counts.whole, counts.looking_whole, wholes),
    ):
        hint = hints.get(kind)
        if hint is None and (few or of_things):
            continue
        # Where the column's name leaves open what is named, nothing counts but names that are known.
        counted = matching if _is_open(hint) else looking
        yield from weigh(
            kind, sample, hint, test, matching=matching, looking=counted, by=(PATTERN, KNOWN_VALUES), votes=votes
        )


def _is_open(hint: Hint | None) -> bool:
    return hint is not None and hint.confidence <= AMBIGUOUS


def _count(values: Iterable[str], firsts: Counter[str], lasts: Counter[str], wholes: Counter[str]) -> _Counts:
    lists = _lists()
    first = last = whole = looking_single = looking_whole = organisations = 0
    for value in values:
        if len(value) > _LONGEST:
            continue
        if _ORGANISATION.search(value):
            organisations += 1
            continue
        single = _SINGLE.fullmatch(value) is not None
        several = _WHOLE.fullmatch(value) is not None
        if not (single or several):
            continue
        parts = [word for word in _WORDS.findall(folded(value)) if word not in _TITLES]
        core = [word for word in parts if word not in _PARTICLES and len(word) > 1] or parts
        if not 0 < len(core) <= _MOST_WORDS:
            continue
        looking_single += single and len(core) <= 3
        looking_whole += several and len(parts) > 1
        if single and (knowing := _known(core, lists.first)):
            first += 1
            _vote(firsts, knowing)
        if single and (knowing := _known(core, lists.last)):
            last += 1
            _vote(lasts, knowing)
        if several and (knowing := _known_whole(core, lists)):
            whole += 1
            _vote(wholes, knowing)
    return _Counts(first, last, whole, looking_single, looking_whole, organisations)


def _known(parts: list[str], names: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The locales of one name, or of a double one: every word of it is known."""
    if len(parts) > 2 or not all(part in names for part in parts):
        return ()
    return tuple(locale for part in parts for locale in names[part])


def _known_whole(parts: list[str], lists: _Lists) -> tuple[str, ...]:
    """The locales of a first name and a last name, in either order; one of the two may be unknown beside initials."""
    if len(parts) == 1 and not parts[0].isascii():
        return _known_unspaced(parts[0], lists)
    if len(parts) < 2:
        return ()
    for first, last in ((parts[0], parts[-1]), (parts[-1], parts[0])):
        if first in lists.first and last in lists.last:
            return tuple(set(lists.first[first]) & set(lists.last[last])) or lists.last[last]
    return ()


def _known_unspaced(word: str, lists: _Lists) -> tuple[str, ...]:
    """As _known_whole, of a name without a space: the last name comes first."""
    for cut in (1, 2, 3):
        if word[:cut] in lists.last and word[cut:] in lists.first:
            return lists.last[word[:cut]]
    return ()


def _vote(votes: Counter[str], knowing: tuple[str, ...]) -> None:
    for locale in knowing:
        votes[locale] += 1 / len(knowing)  # type: ignore[assignment] # a Counter counts in any number


@cache
def _lists() -> _Lists:
    first: dict[str, list[str]] = {}
    last: dict[str, list[str]] = {}
    for locale in _LOCALES:
        provider = import_module(f"faker.providers.person.{locale}").Provider
        for names, prefixes in ((first, "first"), (last, "last")):
            for attribute in dir(provider):
                if attribute.startswith(prefixes) and attribute.rstrip("s").endswith(("name", "female", "male")):
                    for name in _words_of(getattr(provider, attribute)):
                        locales = names.setdefault(name, [])
                        if locale not in locales:
                            locales.append(locale)
    return _Lists(
        {name: tuple(locales) for name, locales in first.items()},
        {name: tuple(locales) for name, locales in last.items()},
    )


def _words_of(names: object) -> Iterator[str]:
    """The words of a list of names; double names are taken apart, and particles and initials left out."""
    if isinstance(names, Mapping | tuple | list):
        for name in names:
            if isinstance(name, str):
                for word in _WORDS.findall(folded(name)):
                    if word not in _PARTICLES and (len(word) > 1 or not word.isascii()):
                        yield word
