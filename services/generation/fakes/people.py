"""People: names, and what is made of names."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from servicekit.personal_data import PersonalKind
from services.generation.fakes.invented import digits, invented_words
from services.generation.fakes.locales import known, nearest, plain, seeded
from services.generation.fakes.national_ids import Holders, national_ids
from services.generation.fakes.plan import FakeColumn
from services.generation.fakes.settling import Columns, Places, Rule, Write, settle, settle_one

# Reserved for examples by RFC 2606: what is sent there reaches nobody.
DOMAINS: Final = np.array(["example.com", "example.org", "example.net"])
# Locales whose people put the family name first.
_FAMILY_FIRST: Final = ("hu", "ja", "ko", "vi", "zh")
_UNSPACED: Final = ("ja", "zh", "ko")
_GERMAN: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l"})
_NOT_LOCAL: Final = re.compile(r"[^a-z0-9]+")

Strings = npt.NDArray[np.object_]


class People:
    """Invents the people of one set of columns."""

    def __init__(self, columns: Sequence[FakeColumn], rules: dict[str, Rule], draws: np.random.Generator) -> None:
        self._columns = columns
        self._rules = rules
        self._draws = draws
        self._locale = next((nearest(column.locale) for column in columns if column.locale), nearest(""))
        generator = seeded(self._locale, draws)
        women = _pool(generator, "first_names_female") or _pool(generator, "first_names")
        men = _pool(generator, "first_names_male") or women
        self._firsts = (self._free(women, PersonalKind.FIRST_NAME), self._free(men, PersonalKind.FIRST_NAME))
        self._lasts = self._free(_pool(generator, "last_names"), PersonalKind.LAST_NAME)

    def make(self, count: int) -> Columns:
        """So many people, column by column."""
        names = [column for column in self._columns if column.kind in _NAME_PARTS]
        made = settle(count, self._names, {column.name: self._rules[column.name] for column in names})
        women = np.array([woman == "f" for woman in made[_WOMAN]], dtype=np.bool_)
        result = {column.name: made[column.name] for column in names}
        for number, column in enumerate(self._columns):
            if column.kind is PersonalKind.EMAIL:
                write: Write = _Locals(made[_FIRST], made[_LAST], number, self._draws).drawn
            elif column.kind is PersonalKind.NATIONAL_ID:
                write = national_ids(column, Holders(made[_FIRST], made[_LAST], women), self._draws)
            else:
                continue
            result[column.name] = settle_one(count, column.name, write, self._rules[column.name])
        return {column.name: column.style.cased(result[column.name]) for column in self._columns}

    def _names(self, places: Places, attempt: int) -> Columns:
        count = len(places)
        women = self._draws.random(count) < 0.5
        firsts = np.where(
            women, self._drawn(self._firsts[0], count, attempt), self._drawn(self._firsts[1], count, attempt)
        )
        lasts = self._drawn(self._lasts, count, attempt)
        columns: Columns = {
            _FIRST: firsts.tolist(),
            _LAST: lasts.tolist(),
            _WOMAN: np.where(women, "f", "m").tolist(),
        }
        for column in self._columns:
            if column.kind is PersonalKind.FIRST_NAME:
                columns[column.name] = columns[_FIRST]
            elif column.kind is PersonalKind.LAST_NAME:
                columns[column.name] = columns[_LAST]
            elif column.kind is PersonalKind.FULL_NAME:
                columns[column.name] = self._full(column, firsts, lasts)
        return columns

    def _full(self, column: FakeColumn, firsts: Strings, lasts: Strings) -> list[str]:
        language = self._locale.split("_")[0]
        if column.style.comma_first:
            return [f"{last}, {first}" for first, last in zip(firsts, lasts, strict=True)]
        space = "" if language in _UNSPACED else " "
        if language in _FAMILY_FIRST:
            return [f"{last}{space}{first}" for first, last in zip(firsts, lasts, strict=True)]
        return [f"{first}{space}{last}" for first, last in zip(firsts, lasts, strict=True)]

    def _more(self, pool: Sequence[str], missing: int) -> list[str]:
        """Names beside those of a pool of which the source has too many: two together, and words nobody chose."""
        if missing <= 0:
            return []
        pairs = _pairs(np.array(pool, dtype=object), 2 * missing, self._draws)
        return list(dict.fromkeys([*pairs.tolist(), *invented_words(missing, 3, self._draws)]))

    def _drawn(self, pool: Strings, count: int, attempt: int) -> Strings:
        """Names of the pool; two of them together where one is not enough; and words that nobody chose in the end."""
        if attempt < 2 and len(pool):
            return pool[self._draws.integers(len(pool), size=count)]
        if attempt < 4 and len(pool) > 1:
            return _pairs(pool, count, self._draws)
        return np.array(invented_words(count, 3 + attempt // 4, self._draws), dtype=object)

    def _free(self, pool: Sequence[str], kind: PersonalKind) -> Strings:
        """The names that the source hasn't, no more of them than it has itself."""
        most = len(pool)
        allowed = list(pool)
        for column in self._columns:
            if column.kind is kind:
                allowed = self._rules[column.name].allowed(allowed)
                most = min(most, column.distinct)
                allowed += self._rules[column.name].allowed(self._more(pool, most - len(allowed)))
        order = self._draws.permutation(len(allowed))[: max(most, 1)]
        return np.array([allowed[place] for place in sorted(order)], dtype=object)


_FIRST, _LAST, _WOMAN = "\0first", "\0last", "\0woman"
_NAME_PARTS: Final = {PersonalKind.FIRST_NAME, PersonalKind.LAST_NAME, PersonalKind.FULL_NAME}


class _Locals:
    """Addresses of e-mail made of names, in the ways that people have; a number tells namesakes apart."""

    def __init__(self, firsts: Sequence[str], lasts: Sequence[str], variant: int, draws: np.random.Generator) -> None:
        self._firsts = [_latin(first) for first in firsts]
        self._lasts = [_latin(last) for last in lasts]
        self._ways = draws.integers(4, size=len(firsts)) + variant
        self._draws = draws

    def drawn(self, places: Places, attempt: int) -> list[str]:
        """Addresses for the people at these places, with longer numbers at every attempt."""
        domains = DOMAINS[self._draws.integers(len(DOMAINS), size=len(places))]
        numbers = digits(len(places), attempt * 2, self._draws)
        return [
            f"{self._local(int(place))}{number}@{domain}"
            for place, number, domain in zip(places, numbers, domains, strict=True)
        ]

    def _local(self, place: int) -> str:
        first, last = self._firsts[place], self._lasts[place]
        if not first or not last:
            return first or last or "user"
        way = self._ways[place] % 4
        if way == 0:
            return f"{first}.{last}"
        if way == 1:
            return f"{first[0]}.{last}"
        return f"{first}_{last}" if way == 2 else f"{first}{last[0]}"


def _pairs(pool: Strings, count: int, draws: np.random.Generator) -> Strings:
    first: Strings = pool[draws.integers(len(pool), size=count)]
    second: Strings = pool[draws.integers(len(pool), size=count)]
    pairs = [f"{one}-{other}" for one, other in zip(first, second, strict=True)]
    return np.array(pairs, dtype=object)


def _latin(name: str) -> str:
    """A name in the letters that addresses have; empty for a name in another script."""
    lower = name.casefold().translate(_GERMAN)
    return _NOT_LOCAL.sub("", "".join(unicodedata.normalize("NFKD", lower)))


def _pool(generator: Any, name: str) -> list[str]:
    return plain(known(generator, "person", name))
