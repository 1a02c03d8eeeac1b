"""Checks a request's search space against the model's own parameter table, and tells all that is wrong at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, lcm
from typing import Any

from services.optimizer.search.batches import BatchRule
from services.optimizer.search.domains import Choices, Domain, IntegerRange, RealRange, Value
from services.optimizer.search.faults import Fault, InvalidSearch, nearest, shown
from services.optimizer.search.parameters import (
    BATCH_SIZE,
    EPOCHS,
    GAN_LEARNING_RATES,
    LEARNING_RATE,
    PAC,
    ParameterInfo,
    in_force,
)
from services.optimizer.search.space import Space

MOST_CHOICES = 100
LONGEST_LIST = 8  # layers of a network

_RANGE_OR_CHOICES = 'Give a range as two numbers, [low, high], or {"choices": […]}.'
_CHOICES_ONLY = 'Give {"choices": […]}.'


def parse_space(
    raw: Mapping[str, Any],
    parameters: Sequence[ParameterInfo],
    *,
    rows: int | None = None,
    fixed: Mapping[str, object] | None = None,
) -> Space:
    """The search space that a request describes.

    `raw` is the request's `search_space`, where all numbers may have become floats on the way. `rows` are those that a
    trial trains on, `fixed` the parameters that are given beside the search; a searched parameter replaces a fixed one.
    A parameter named like a learning rate or a weight decay is searched on a logarithmic scale if its range begins
    above 0. Raises InvalidSearch with everything that is wrong; also for a space of one point, in which there is
    nothing to search.
    """
    table = {parameter.name: parameter for parameter in parameters}
    faults: list[Fault] = []
    domains: dict[str, Domain] = {}
    for name in sorted(raw):
        parsed = _parse_entry(table, name, raw[name])
        if isinstance(parsed, list):
            faults.extend(parsed)
        else:
            domains[name] = parsed
    kept = {name: value for name, value in (fixed or {}).items() if name not in raw}
    faults.extend(_clashes(raw, table))
    faults.extend(_pac_faults(domains.get(PAC), rows))
    if not raw:
        faults.append(Fault("search_space", f"Name at least one parameter to search{nearest('', table)}"))
    if faults:
        raise InvalidSearch(faults)
    both_rates = set(GAN_LEARNING_RATES) <= set(table) and LEARNING_RATE in domains
    if both_rates:
        kept = {name: value for name, value in kept.items() if name not in GAN_LEARNING_RATES}
    elif domains.keys() & set(GAN_LEARNING_RATES):
        kept.pop(LEARNING_RATE, None)
    if BATCH_SIZE in domains and rows is not None:
        domains[BATCH_SIZE] = _within_table(domains[BATCH_SIZE], rows)
    rule = _batch_rule(domains.get(BATCH_SIZE), table, kept, rows)
    epochs = _epochs(domains.get(EPOCHS), table, kept)
    space = Space(tuple(domains.values()), rule, both_rates, kept, epochs)
    if space.size == 1:
        point = ", ".join(f"{name} {shown(value)}" for name, value in next(space.points()).items())
        message = f"It has only one point ({point}), so there is nothing to search. Give a range or several choices."
        raise InvalidSearch([Fault("search_space", message)])
    return space


def _parse_entry(table: Mapping[str, ParameterInfo], name: str, entry: object) -> Domain | list[Fault]:
    field = f"search_space.{shown(name)[1:-1]}"
    if name not in table:
        return [Fault(field, f"There is no such parameter{nearest(name, table)}")]
    reader = _Entry(table[name], field)
    if isinstance(entry, Mapping):
        return reader.choices(entry)
    return reader.range(entry)


@dataclass(frozen=True)
class _Entry:
    """Reads what a request says about one parameter."""

    parameter: ParameterInfo
    field: str

    def range(self, entry: object) -> Domain | list[Fault]:
        if self.parameter.type not in ("integer", "number"):
            return self._faults(f"It is {_named_type(self.parameter)}, which has no range. {_CHOICES_ONLY}")
        if not isinstance(entry, list | tuple) or len(entry) != 2:
            return self._faults(f"{shown(entry)} is neither a range nor choices. {_RANGE_OR_CHOICES}")
        wrong = [fault for end in entry for fault in self._value_faults(end)]
        if wrong:
            return self._faults(*dict.fromkeys(wrong))
        low, high = entry
        if low > high:
            return self._faults(f"The range is upside down: {shown(low)} is above {shown(high)}.")
        if low == high:
            alternative = f'{{"choices": [{shown(low)}]}}'
            return self._faults(f"The range from {shown(low)} to {shown(high)} is empty. One value is {alternative}.")
        if self.parameter.type == "integer":
            return IntegerRange(self.parameter.name, int(low), int(high))
        return RealRange(self.parameter.name, float(low), float(high), low > 0 and _is_logarithmic(self.parameter.name))

    def choices(self, entry: Mapping[str, object]) -> Domain | list[Fault]:
        given = entry.get("choices")
        if set(entry) != {"choices"} or not isinstance(given, list | tuple):
            usual = _RANGE_OR_CHOICES if self.parameter.type in ("integer", "number") else _CHOICES_ONLY
            return self._faults(usual)
        if not given:
            return self._faults("There are no choices.")
        if len(given) > MOST_CHOICES:
            return self._faults(f"At most {MOST_CHOICES} choices; {len(given)} are given.")
        wrong = [fault for value in given for fault in self._value_faults(value)]
        if wrong:
            return self._faults(*dict.fromkeys(wrong))
        values = [self._plain(value) for value in given]
        twice = [value for place, value in enumerate(values) if value in values[:place]]
        if twice:
            return self._faults(*dict.fromkeys(f"{shown(value)} is given twice." for value in twice))
        ordered = self.parameter.type in ("integer", "number")
        return Choices(self.parameter.name, tuple(sorted(values, key=_as_float) if ordered else values), ordered)

    def _faults(self, *descriptions: str) -> list[Fault]:
        return [Fault(self.field, description) for description in descriptions]

    def _plain(self, value: Any) -> Value:
        plain: Value
        match self.parameter.type:
            case "integer":
                plain = int(value)
            case "number":
                plain = float(value)
            case "integers":
                plain = [int(item) for item in value]
            case _:
                plain = value
        return plain

    def _value_faults(self, value: object) -> Iterator[str]:
        match self.parameter.type:
            case "boolean":
                if not isinstance(value, bool):
                    yield f"{shown(value)} is neither true nor false."
            case "string":
                yield from self._word_faults(value)
            case "integers":
                if not isinstance(value, list | tuple) or not value:
                    yield f"{shown(value)} is not a list of whole numbers."
                elif len(value) > LONGEST_LIST:
                    yield f"{shown(value)} has {len(value)} numbers; at most {LONGEST_LIST}."
                else:
                    for item in value:
                        yield from self._number_faults(item, whole=True)
            case kind:
                yield from self._number_faults(value, whole=kind == "integer")

    def _word_faults(self, value: object) -> Iterator[str]:
        if not isinstance(value, str):
            yield f"{shown(value)} is not a word."
        elif self.parameter.choices and value not in self.parameter.choices:
            yield f"{shown(value)} is not one of its values{nearest(value, self.parameter.choices)}"

    def _number_faults(self, value: object, *, whole: bool) -> Iterator[str]:
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            yield f"{shown(value)} is not a {'whole ' if whole else ''}number."
        elif whole and not float(value).is_integer():
            yield f"{shown(value)} is not a whole number."
        elif not self._within(value):
            yield f"{shown(value)} is out of range: it can be {self._limits()}."

    def _within(self, value: float) -> bool:
        low, high = self.parameter.minimum, self.parameter.maximum
        return (low is None or value >= low) and (high is None or value <= high)

    def _limits(self) -> str:
        low, high = self.parameter.minimum, self.parameter.maximum
        if low is None:
            return f"at most {shown(high)}"
        return f"at least {shown(low)}" if high is None else f"{shown(low)} to {shown(high)}"


def _clashes(raw: Mapping[str, object], table: Mapping[str, ParameterInfo]) -> Iterator[Fault]:
    """`learning_rate` sets both rates of a GAN, so neither can be searched beside it."""
    both = [name for name in GAN_LEARNING_RATES if name in raw and name in table]
    if LEARNING_RATE in raw and LEARNING_RATE in table and both:
        message = f"It sets both learning rates; search either it or {' and '.join(both)}."
        yield Fault(f"search_space.{LEARNING_RATE}", message)


def _pac_faults(domain: Domain | None, rows: int | None) -> Iterator[Fault]:
    if rows is None or domain is None or isinstance(domain, RealRange):
        return
    large = [int(value) for value in domain.values() if isinstance(value, int) and lcm(2, value) > rows]
    if large:
        message = (
            f"The table has {rows} rows to train on, too few for a batch of {lcm(2, large[0])}, as {large[0]} needs."
        )
        yield Fault(f"search_space.{PAC}", message)


def _within_table(domain: Domain, rows: int) -> Domain:
    """A range of batch sizes without those beyond the table, which would all be snapped to the same largest one."""
    if not isinstance(domain, IntegerRange) or domain.high <= rows:
        return domain
    return IntegerRange(domain.name, domain.low, rows) if domain.low < rows else Choices(domain.name, (rows,), True)


def _batch_rule(
    domain: Domain | None, table: Mapping[str, ParameterInfo], fixed: Mapping[str, object], rows: int | None
) -> BatchRule | None:
    if domain is None or isinstance(domain, RealRange):
        return None
    return BatchRule(domain, PAC in table, in_force(PAC, table, fixed) or 1, rows)


def _epochs(
    domain: Domain | None, table: Mapping[str, ParameterInfo], fixed: Mapping[str, object]
) -> tuple[int, int] | None:
    """The fewest and the most epochs of a trial; see Space."""
    if isinstance(domain, IntegerRange):
        return domain.low, domain.high
    if isinstance(domain, Choices):
        values = [value for value in domain.choices if isinstance(value, int)]
        return min(values), max(values)
    most = in_force(EPOCHS, table, fixed)
    return None if most is None else (max(int(table[EPOCHS].minimum or 1), 1), most)


def _is_logarithmic(name: str) -> bool:
    return name.endswith("_lr") or any(part in name for part in (LEARNING_RATE, "l2", "decay", "epsilon"))


def _named_type(parameter: ParameterInfo) -> str:
    named = {"boolean": "true or false", "string": "a word", "integers": "a list of whole numbers"}
    return named.get(parameter.type, parameter.type)


def _as_float(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
