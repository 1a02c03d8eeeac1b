"""Text to values, a batch at a time: quickly where it is written plainly, by the candidate's own SQL otherwise.

Quick ways are those of Arrow, each with a proof that they read what the candidate reads: what was read is written again
and must be the text, or the text has no other characters than plain numbers have.
"""

import threading
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.dataset.ingestion import candidates
from services.dataset.ingestion.candidates import LARGEST_EXACT, Candidate
from services.dataset.ingestion.storage import trimmed, unless_weak

_FIRST_DAY = -719_162  # the first of January of the year 1, in days since 1970; there is no year 0
_DAY_SECONDS = 86_400
_ZERO, _NINE, _MINUS = b"09-"
_PLAIN = np.zeros(256, dtype=bool)
_PLAIN[list(b"0123456789.-")] = True
_SECONDS_LENGTH = len("2024-02-29 12:30:00")

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
_Quick = Callable[[pa.Array], pa.Array | None]


class Converter:
    """Reads text as what candidates hold."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # One thread, so that rows come out as they went in.
        self._connection = duckdb.connect(config={"threads": 1, "autoload_known_extensions": False})
        self._connection.execute("SET TimeZone = 'UTC'")

    def convert(self, texts: pa.Array, candidate: Candidate) -> pa.Array | None:
        """The values of some texts, missing ones staying missing; None if the candidate doesn't hold every one."""
        quick = _QUICK.get(candidate.name)
        if quick is not None:
            try:
                values = quick(texts)
            except pa.ArrowInvalid:
                values = None
            if values is not None:
                return values
        return self._carefully(texts, candidate)

    def _carefully(self, texts: pa.Array, candidate: Candidate) -> pa.Array | None:
        text = trimmed("t")
        value = unless_weak(text, f"CASE WHEN {candidate.holds(text)} THEN {candidate.read(text)} END")
        misfit = unless_weak(text, f"NOT {candidate.holds(text)}")
        query = f"SELECT {value} AS value, coalesce({misfit}, false) AS misfit FROM texts"
        with self._lock:  # a connection takes one query at a time
            self._connection.register("texts", pa.table({"t": texts}))
            found = self._connection.sql(query).to_arrow_table()
            self._connection.unregister("texts")
        if pc.any(found["misfit"]).as_py():
            return None
        return found["value"].combine_chunks().cast(candidate.arrow)

    def close(self) -> None:
        """Gives back what it holds."""
        self._connection.close()


def _integers(texts: pa.Array) -> pa.Array | None:
    values = texts.cast(pa.int64())
    return values if _same(values, texts) else None


def _numbers(texts: pa.Array) -> pa.Array | None:
    if not _plain_numbers(texts):
        return None
    values = texts.cast(pa.float64())
    extremes = pc.min_max(values).as_py()
    # Whole numbers beyond are inexact, and may have been rounded to it; only the candidate tells them from others.
    if any(abs(extreme) >= LARGEST_EXACT for extreme in extremes.values() if extreme is not None):
        return None
    return values


def _plain_numbers(texts: pa.Array) -> bool:
    """Whether texts have digits, points and minus signs only, and none begins with a zero before another digit."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, texts.offset * 4)
    first, last = int(offsets[0]), int(offsets[-1])
    if first == last:
        return True
    # Two bytes more, so that every text has a second and a third.
    content: Bytes = np.zeros(last - first + 3, np.uint8)
    content[:-3] = np.frombuffer(texts.buffers()[2], np.uint8, last - first, first)
    if not _PLAIN[content[:-3]].all():
        return False
    starts, ends = offsets[:-1] - first, offsets[1:] - first
    starts = starts + (content[starts] == _MINUS)
    following = content[starts + 1]
    return not ((content[starts] == _ZERO) & (starts + 1 < ends) & (following >= _ZERO) & (following <= _NINE)).any()


def _booleans(texts: pa.Array) -> pa.Array | None:
    encoded = texts.dictionary_encode()
    meanings = [{"true": True, "false": False}.get(text.lower()) for text in encoded.dictionary.to_pylist()]
    if None in meanings:
        return None
    return pa.array(meanings, pa.bool_()).take(encoded.indices)


def _days(texts: pa.Array) -> pa.Array | None:
    values = texts.cast(pa.date32())
    return values if _same(values, texts) and _not_before(values.cast(pa.int32()), _FIRST_DAY) else None


def _moments(texts: pa.Array) -> pa.Array | None:
    lengths = pc.min_max(pc.binary_length(texts)).as_py()
    if set(lengths.values()) - {None, _SECONDS_LENGTH}:
        return None
    values = texts.cast(pa.timestamp("s"))
    if not _same(values, texts) and not _same(values, pc.binary_replace_slice(texts, 10, 11, " ")):
        return None
    if not _not_before(values.cast(pa.int64()), _FIRST_DAY * _DAY_SECONDS):
        return None
    return values.cast(pa.timestamp("us"))


def _instants(texts: pa.Array) -> pa.Array | None:
    if pc.all(pc.ends_with(texts, "Z")).as_py() is False:
        return None
    values = _moments(pc.binary_slice(texts.cast(pa.binary()), 0, -1).cast(pa.string()))
    return None if values is None else values.cast(pa.int64()).cast(pa.timestamp("us", "UTC"))


def _same(values: pa.Array, texts: pa.Array) -> bool:
    """Whether values are written just like this."""
    return pc.all(pc.equal(values.cast(pa.string()), texts)).as_py() is not False


def _not_before(numbers: pa.Array, first: int) -> bool:
    smallest = pc.min(numbers).as_py()
    return smallest is None or smallest >= first


_QUICK: dict[str, _Quick] = {
    candidates.INTEGER.name: _integers,
    candidates.FLOAT.name: _numbers,
    candidates.BOOLEAN.name: _booleans,
    candidates.ISO_DAY.name: _days,
    candidates.ISO_MOMENT.name: _moments,
    candidates.ISO_INSTANT.name: _instants,
}
