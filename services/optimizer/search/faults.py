"""What is wrong with a request for a search, all of it at once."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Fault:
    """One wrong field, such as `search_space.epochs`, and in words what is wrong and what would be right."""

    field: str
    description: str


class InvalidSearch(Exception):
    """A search that can't be run as it was asked for; `faults` are never empty."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.description}" for fault in faults))
        self.faults = tuple(faults)


def shown(value: object) -> str:
    """A value of a request as an error shows it: as JSON would write it, and never a page long."""
    if isinstance(value, bool) or value is None:
        text = {True: "true", False: "false", None: "null"}[value]
    elif isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        text = str(int(value))
    elif isinstance(value, str):
        text = f'"{value}"'
    elif isinstance(value, list | tuple):
        text = f"[{', '.join(shown(item) for item in value[:8])}{', …' if len(value) > 8 else ''}]"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def nearest(wanted: str, known: Iterable[str]) -> str:
    """A hint that ends an error's sentence: the known name that the wanted one resembles, if any, and all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(wanted[:200].lower(), names, n=1, cutoff=0.6)
    meant = f"; did you mean {near[0]}?" if near else "."
    return f"{meant} There are: {', '.join(names)}" if names else meant
