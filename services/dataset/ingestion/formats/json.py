"""JSON: an array of objects, or one object after another (JSON lines), read piece by piece."""

import itertools
import json
import math
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from services.dataset.ingestion.encoding import Text
from services.dataset.ingestion.faults import Fault, Reason, named, unreadable
from services.dataset.ingestion.names import check_number, settled
from services.dataset.ingestion.reading import Reading, batch_rows, internals
from services.dataset.ingestion.tasks import Limits

_CHUNK_BYTES = 1024 * 1024
_LARGEST_OBJECT = 64 * 1024 * 1024
_SPACE = " \t\r\n"
_DEEPEST = 32
"""Objects that are nested deeper than this are kept as JSON text."""
# A decoder that finds a fault so close to the end of what was read so far may only need more.
_MARGIN = 32

Path = str | tuple[str, ...]
"""Where a value is: a member of the object, or the way to it through nested objects."""
Row = dict[Path, Any]


def read(text: Text, limits: Limits, source_format: str) -> Reading:
    """Reads `json` (an array) or `jsonl`. The columns are the members of the objects, in order of appearance.

    Numbers, booleans and null are what they are; a string stays a string though it may look like a number. Missing is
    null, NaN, or a member that isn't there. Members of nested objects become columns with dotted names; lists and empty
    objects are kept as JSON text. A member that an object has twice gets a number.

    Raises:
        Fault: while batches are read: it is no such JSON; the message names line and character.
    """
    reading = Reading(source_format, iter(()))
    if text.note:
        reading.notes.append(text.note)
    with_twins: set[str] = set()
    reading.batches = _Columns(reading, limits, with_twins).batches(_objects(text, source_format, with_twins))
    return reading


def _objects(text: Text, source_format: str, with_twins: set[str]) -> Iterator[Row]:
    with text.open() as file:
        scanner = _Scanner(file, with_twins)
        if source_format == "json":
            scanner.expect("[")
            if scanner.peek() == "]":
                scanner.expect("]")
            else:
                while True:
                    yield scanner.object()
                    if scanner.peek() != ",":
                        break
                    scanner.expect(",")
                scanner.expect("]")
        else:
            while scanner.peek():
                yield scanner.object()
                if scanner.peek() == ",":  # some programs write lines of an array without its brackets
                    scanner.expect(",")
        if scanner.peek():
            raise scanner.fault("nothing may follow the end of the array")


class _Scanner:
    """Takes one object after another out of a file; holds no more of it than needed."""

    def __init__(self, file: BinaryIO, with_twins: set[str]) -> None:
        self._read: Callable[[int], bytes] = file.read
        self._rest = b""
        self._buffer = ""
        self._position = 0
        self._lines = 0  # before the buffer
        self._line_start = 0  # of the buffer's first line: characters before the buffer that belong to it
        self._ended = False
        self._with_twins = with_twins  # names of members that an object has more than once
        self._objects = 0  # in the one that is being read, itself counted
        self._decoder = json.JSONDecoder(parse_constant=_constant, strict=False, object_pairs_hook=self._made)

    def peek(self) -> str:
        """The next character that is no space; empty at the end of the file."""
        while True:
            while self._position < len(self._buffer):
                character = self._buffer[self._position]
                if character not in _SPACE:
                    return character
                self._position += 1
            if not self._more():
                return ""

    def expect(self, character: str) -> None:
        """Takes this character."""
        if self.peek() != character:
            raise self.fault(f"“{character}” should stand there")
        self._position += 1

    def object(self) -> Row:
        """Takes one object; what is nested in it comes under the path to it."""
        if self.peek() != "{":
            raise self.fault("an object, as in {“name”: “value”}, should stand there")
        while True:
            self._objects = 0
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._position)
            except json.JSONDecodeError as error:
                cut = error.pos >= len(self._buffer) - _MARGIN or error.msg.startswith("Unterminated string")
                within = error.pos - self._position  # the object, whose beginning moves when more is read
                if not (cut and len(self._buffer) - self._position < _LARGEST_OBJECT and self._more()):
                    self._position += within
                    raise self.fault(error.msg[0].lower() + error.msg[1:]) from None
            except ValueError:
                raise self.fault("a number in this object has too many digits") from None
            except RecursionError:
                raise self.fault("an object is nested too deeply") from None
            else:
                self._position = end
                return value if self._objects == 1 else dict(_flat(value, (), 1))

    def _made(self, members: list[tuple[str, Any]]) -> dict[str, Any]:
        self._objects += 1
        made = dict(members)
        if len(made) == len(members):
            return made
        made = {}
        taken = {name for name, _ in members}
        for name, value in members:
            if name in made:
                self._with_twins.add(name)
                name = next(free for count in itertools.count(2) if (free := f"{name}_{count}") not in taken)  # noqa: PLW2901 - a name of its own
                taken.add(name)
            made[name] = value
        return made

    def fault(self, what: str) -> Fault:
        """A fault at the current position."""
        before = self._buffer[: self._position]
        line = self._lines + before.count("\n") + 1
        column = self._position - before.rfind("\n") if "\n" in before else self._line_start + self._position + 1
        return unreadable(f"The JSON is broken in line {line:,} at character {column:,}: {what}.")

    def _more(self) -> bool:
        """Reads on; False at the end of the file."""
        if self._ended:
            return False
        gone = self._buffer[: self._position]
        if "\n" in gone:
            self._lines += gone.count("\n")
            self._line_start = len(gone) - gone.rfind("\n") - 1
        else:
            self._line_start += len(gone)
        # At least as much again, so that an object over many chunks isn't begun anew for each.
        chunk = self._rest + self._read(max(_CHUNK_BYTES, len(self._buffer) - self._position))
        self._ended = len(chunk) == len(self._rest)
        whole = len(chunk) if self._ended else _character_end(chunk)
        self._buffer = self._buffer[self._position :] + chunk[:whole].decode("utf-8", errors="replace")
        self._rest = chunk[whole:]
        self._position = 0
        return bool(whole)


def _flat(members: dict[str, Any], path: tuple[str, ...], depth: int) -> Iterator[tuple[Path, Any]]:
    for name, value in members.items():
        if isinstance(value, dict) and value and depth < _DEEPEST:
            yield from _flat(value, (*path, name), depth + 1)
        else:
            yield ((*path, name) if path else name), value


def _character_end(chunk: bytes) -> int:
    """Where the last whole UTF-8 character ends."""
    for back in range(1, min(4, len(chunk)) + 1):
        byte = chunk[-back]
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(chunk) if length == back else len(chunk) - back
        if byte < 0x80:
            break
    return len(chunk)


def _constant(name: str) -> float | None:
    return None if name == "NaN" else float(name)


class _Columns:
    """Turns objects into columns of text, and notes of what kind the values were."""

    def __init__(self, reading: Reading, limits: Limits, with_twins: set[str]) -> None:
        self._reading = reading
        self._limits = limits
        self._with_twins = with_twins
        self._positions: dict[Path, int] = {}
        self._kinds: list[set[type]] = []

    def batches(self, objects: Iterator[Row]) -> Iterator[pa.RecordBatch]:
        rows: list[Row] = []
        total = 0
        only: Row = {}
        for row in objects:
            if not row.keys() <= self._positions.keys():
                self._add(row)
            rows.append(row)
            if len(rows) >= batch_rows(len(self._positions)):
                total += len(rows)
                yield self._batch(rows)
                rows = []
        total += len(rows)
        if total == 1 and rows:
            only = rows[0]
        if rows and self._positions:
            yield self._batch(rows)
        self._finish(only)

    def _add(self, row: Row) -> None:
        for path in row:
            if path not in self._positions:
                self._positions[path] = len(self._positions)
                self._kinds.append(set())
        check_number(len(self._positions), self._limits)

    def _batch(self, rows: list[Row]) -> pa.RecordBatch:
        columns = [
            self._column(position, [row.get(path) for row in rows]) for path, position in self._positions.items()
        ]
        return pa.RecordBatch.from_arrays(columns, internals(len(columns)))

    def _column(self, position: int, values: list[Any]) -> pa.Array:
        kinds = set(map(type, values)) - {type(None)}
        self._kinds[position] |= kinds
        if kinds and kinds != {str}:
            values = [_text(value) for value in values]
        try:
            return pa.array(values, pa.string())
        except UnicodeEncodeError:  # half of a surrogate pair, which is no character
            whole = [None if value is None else value.encode("utf-8", "replace").decode() for value in values]
            return pa.array(whole, pa.string())

    def _finish(self, only: Row) -> None:
        reading = self._reading
        for path, value in only.items():
            if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
                raise unreadable(
                    "The file is one object, not a table: it should be the array of objects that is its member "
                    f"“{_name(path)}”, or one object a line."
                )
        reading.names = settled([_name(path) for path in self._positions], reading.notes)
        reading.text_only = {position for position, kinds in enumerate(self._kinds) if kinds == {str}}
        # null in the place of an object says nothing that its members, all missing, don't say.
        stems = {path[:length] for path in self._positions if isinstance(path, tuple) for length in range(1, len(path))}
        reading.left_out = {
            position
            for path, position in self._positions.items()
            if not self._kinds[position] and ((path,) if isinstance(path, str) else path) in stems
        }
        flattened = [name for name, path in zip(reading.names, self._positions, strict=True) if isinstance(path, tuple)]
        if flattened:
            reading.notes.append(f"Members of nested objects became the columns {named(flattened, 20)}.")
        kept = [name for name, kinds in zip(reading.names, self._kinds, strict=True) if kinds & {dict, list}]
        if kept:
            reading.notes.append(f"Nested lists and empty objects were kept as JSON text: {named(kept, 20)}.")
        if self._with_twins:
            twins = named(sorted(self._with_twins), 20)
            reading.notes.append(f"Members that an object has more than once were numbered: {twins}.")
        if not self._positions:
            raise Fault(Reason.EMPTY, "The file has no rows: it should have at least one object with members.")


def _name(path: Path) -> str:
    return path if isinstance(path, str) else ".".join(path)


def _text(value: Any) -> str | None:
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return None if math.isnan(value) else repr(value)
        case int():
            return str(value)
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise unreadable("The JSON is broken: a list is nested too deeply.") from None
