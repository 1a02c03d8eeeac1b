"""Postal addresses: street, town and postcode that belong together."""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from servicekit.personal_data import PersonalKind
from services.generation.fakes.invented import digits, invented_words
from services.generation.fakes.locales import country, known, nearest, plain, seeded
from services.generation.fakes.plan import FakeColumn
from services.generation.fakes.settling import Columns, Places, Rule, settle

_STREETS: Final = 3000
_TOWNS: Final = 2000
_MOST_PLACES: Final = 5000
# Attempts before the places that were found are taken for used up, and rounds of looking for places.
_PLACES_TRIED: Final = 4
_ROUNDS: Final = 12
_ROUNDS_AT_HOME: Final = 2
# How a country writes an address; the others as most of the world does.
_LAYOUTS: Final = {
    "US": "{street}\n{town}, {state} {postcode}",
    "GB": "{street}\n{town}\n{postcode}",
    "IE": "{street}\n{town}\n{postcode}",
    "CA": "{street}\n{town}, {state} {postcode}",
}
_LAYOUT: Final = "{street}\n{postcode} {town}"
_ENDINGS: Final = {"en": "ton", "fr": "ville", "de": "stadt", "es": "villa", "it": "ano"}
_NUMBER: Final = re.compile(r"\d+")
_STREET, _TOWN, _POSTCODE, _STATE = "\0street", "\0town", "\0postcode", "\0state"


class Addresses:
    """Invents the addresses of one set of columns."""

    def __init__(self, columns: Sequence[FakeColumn], rules: dict[str, Rule], draws: np.random.Generator) -> None:
        self._columns = columns
        self._rules = rules
        self._draws = draws
        self._locale = next((nearest(column.locale) for column in columns if column.locale), nearest(""))
        self._generator = seeded(self._locale, draws)
        self._number_first = self._locale.startswith(("fr", "en"))
        self._layout = _LAYOUTS.get(country(self._locale), _LAYOUT)
        streets = [" ".join(str(self._generator.street_address()).replace("\n", ", ").split()) for _ in range(_STREETS)]
        # A street with its number's digits left open.
        self._streets = [_NUMBER.sub(lambda found: "#" * len(found[0]), street) for street in streets]
        towns = plain(known(self._generator, "address", "cities")) or list(
            dict.fromkeys(str(self._generator.city()) for _ in range(_TOWNS))
        )
        self._towns = self._allowed(towns, len(towns))
        wanted = [column.distinct for column in columns if column.kind in {PersonalKind.CITY, PersonalKind.POSTCODE}]
        # As many as the source has, so that a postcode keeps its town.
        self._places = self._some_places(min(max(wanted, default=_TOWNS), _MOST_PLACES), 0)

    def make(self, count: int) -> Columns:
        """So many addresses, column by column."""
        made = settle(count, self._drawn, self._rules)
        return {column.name: column.style.cased(made[column.name]) for column in self._columns}

    def _drawn(self, places: Places, attempt: int) -> Columns:
        count = len(places)
        towns, postcodes, states = self._town(count, attempt)
        parts: Columns = {
            _STREET: self._street(count, attempt),
            _TOWN: towns,
            _POSTCODE: postcodes,
            _STATE: states,
        }
        names = {
            PersonalKind.STREET_ADDRESS: _STREET,
            PersonalKind.CITY: _TOWN,
            PersonalKind.POSTCODE: _POSTCODE,
        }
        for column in self._columns:
            if column.kind in names:
                parts[column.name] = parts[names[column.kind]]
            else:
                layout = self._layout.replace("\n", ", ") if column.style.one_line else self._layout
                parts[column.name] = [
                    layout.format(street=street, town=town, postcode=postcode, state=state).strip()
                    for street, town, postcode, state in zip(
                        parts[_STREET], parts[_TOWN], parts[_POSTCODE], parts[_STATE], strict=True
                    )
                ]
        return {name: values for name, values in parts.items() if not name.startswith("\0")}

    def _street(self, count: int, attempt: int) -> list[str]:
        chosen = self._draws.integers(len(self._streets), size=count).tolist()
        numbers = digits(count, 12 + attempt, self._draws)
        return [
            _numbered(self._streets[street], number, attempt, number_first=self._number_first)
            for street, number in zip(chosen, numbers, strict=True)
        ]

    def _town(self, count: int, attempt: int) -> tuple[list[str], list[str], list[str]]:
        """Towns, postcodes and states that go together."""
        used_up = attempt >= _PLACES_TRIED  # by a column in which none may come twice
        places = self._some_places(min(count, _MOST_PLACES), attempt) if used_up else self._places
        found = [places[place] for place in self._draws.integers(len(places), size=count).tolist()]
        longer = digits(count, max(0, attempt - _PLACES_TRIED), self._draws)
        codes = [code + more for (_, code, _), more in zip(found, longer, strict=True)]
        return [town for town, _, _ in found], codes, [state for _, _, state in found]

    def _some_places(self, count: int, attempt: int) -> list[tuple[str, str, str]]:
        """Places that the source hasn't, so many if there are: each a town, its postcode and perhaps its state."""
        rules = [self._rules[column.name] for column in self._columns if column.kind is PersonalKind.POSTCODE]
        found: dict[str, tuple[str, str, str]] = {}
        for round_ in range(_ROUNDS):
            towns = self._some_towns(2 * count, attempt)
            # A postcode of its town, else any of the country's, and one that no country has where all are taken.
            codes = [self._postcode(town if round_ < _ROUNDS_AT_HOME else "") for town in towns]
            longer = digits(len(towns), 0 if found else max(0, round_ - _ROUNDS // 2), self._draws)
            drawn = {
                code + more: (town, code + more, state)
                for town, (code, state), more in zip(towns, codes, longer, strict=True)
            }
            allowed = list(drawn)
            for rule in rules:
                allowed = rule.allowed(allowed)
            found |= {code: drawn[code] for code in allowed}
            if len(found) >= count:
                break
        return list(found.values())[:count]

    def _some_towns(self, count: int, attempt: int) -> list[str]:
        """Known towns, then ones that nobody knows; every one before any comes again."""
        known_ones: list[str] = self._draws.permutation(self._towns).tolist() if attempt < _PLACES_TRIED else []
        if not known_ones:
            ending = _ENDINGS.get(self._locale.split("_")[0], "")
            fresh = [word + ending for word in invented_words(count, 2 + attempt // 4, self._draws)]
            known_ones = self._allowed(fresh, count)
        return (known_ones * (count // len(known_ones) + 1))[:count]

    def _postcode(self, town: str = "") -> tuple[str, str]:
        """A postcode, and the state that it is in where the country writes one."""
        land = country(self._locale)
        if land == "US":
            state = str(self._generator.state_abbr(include_territories=False, include_freely_associated_states=False))
            return str(self._generator.postcode_in_state(state)).zfill(5), state
        if land == "CA":
            state = str(self._generator.province_abbr())
            return str(self._generator.postcode()), state
        if land == "IT" and town:
            code = self._italian_codes().get(town)
            if code is not None:
                return code, ""
        return str(self._generator.postcode()), ""

    def _italian_codes(self) -> dict[str, str]:
        if not hasattr(self, "_codes"):
            table = known(self._generator, "address", "cap_city_province")
            self._codes = {town: code for code, towns in table.items() for town, _ in towns}
        return self._codes

    def _allowed(self, towns: Sequence[str], most: int) -> list[str]:
        """The towns that the source hasn't, no more of them than it has itself."""
        allowed = list(towns)
        for column in self._columns:
            if column.kind is PersonalKind.CITY:
                allowed = self._rules[column.name].allowed(allowed)
                most = min(most, column.distinct)
        order = self._draws.permutation(len(allowed))[: max(most, 1)]
        return [allowed[place] for place in sorted(order)]


def _numbered(street: str, number: str, attempt: int, *, number_first: bool) -> str:
    """A street with digits where they were left open, none beginning with 0; longer at every attempt."""
    following = iter(number)
    marks = []
    before = ""
    for mark in street:
        digit = next(following, "7") if mark == "#" else mark
        if mark == "#" and before != "#" and digit == "0":
            digit = "1"
        marks.append(digit)
        before = mark
    written = "".join(marks)
    if attempt < 1 or ("#" in street and attempt < 2):
        return written
    house = number[-1 - attempt :].lstrip("0") or "1"
    return f"{house}, {written}" if number_first else f"{written} {house}"
