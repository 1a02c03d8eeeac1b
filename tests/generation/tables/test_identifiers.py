"""New identifiers: of the source's shape, unique, none of them the source's."""

import datetime as dt
import re
import uuid

import numpy as np
import pyarrow as pa
import pytest

from services.generation.engines.protocol import Failure
from services.generation.tables.identifiers import PatternIdentifier, PatternSource, SequenceIdentifier


def drawn(values: list[str], count: int, seed: int = 1) -> list[str]:
    """New identifiers in two batches of one sampling."""
    pattern = PatternIdentifier.of(pa.array(values), b"salt")
    source, draws = PatternSource(pattern, count), np.random.default_rng(seed)
    return source.values(count // 2, draws) + source.values(count - count // 2, draws)


def test_codes_keep_their_shape() -> None:
    """A prefix and digits stay a prefix and digits; all are new and different."""
    own = [f"C-{number:05d}" for number in range(1000)]
    new = drawn(own, 2000)
    assert all(re.fullmatch(r"C-\d{5}", value) for value in new)
    assert len(set(new)) == 2000
    assert not set(new) & set(own)


def test_uuids_stay_uuids() -> None:
    """UUIDs of version 4 give new UUIDs of version 4, in the source's case."""
    draws = np.random.default_rng(0)
    own = [str(uuid.UUID(bytes=draws.bytes(16), version=4)).upper() for _ in range(20)]
    for value in drawn(own, 100):
        assert str(uuid.UUID(value)).upper() == value
        assert uuid.UUID(value).version == 4
        assert uuid.UUID(value).variant == uuid.RFC_4122


def test_full_shape_is_lengthened() -> None:
    """Where the source uses up all that a shape can say, identifiers become longer rather than the source's own."""
    own = [str(number) for number in range(100)]
    new = drawn(own, 500)
    assert len(set(new)) == 500
    assert not set(new) & set(own)
    assert all(value.isdecimal() for value in new)


@pytest.mark.parametrize("own", [["--"] * 3, ["é1", "ñ2"], ["日本 1", "日本 2"], [""], ["a\nb", "c\td"]])
def test_odd_strings(own: list[str]) -> None:
    """Signs, empty strings and any script give new identifiers too."""
    new = drawn(own, 50)
    assert len(set(new)) == 50
    assert not set(new) & set(own)


def test_same_seed_same_identifiers() -> None:
    """The seed decides; another seed gives others."""
    own = [f"AB{number:06d}" for number in range(100)]
    assert drawn(own, 50, seed=1) == drawn(own, 50, seed=1) != drawn(own, 50, seed=2)


def test_source_is_not_stored() -> None:
    """What a model keeps of string identifiers holds none of them."""
    own = [f"Meier-{number * 7919:07d}" for number in range(200)]
    stored = PatternIdentifier.of(pa.array(own), b"salt").model_dump_json()
    assert not any(value in stored for value in own)


@pytest.mark.parametrize(
    "array",
    [
        pa.array([10, 20, 30, 70], pa.int8()),
        pa.array([2**63 - 1, 5, 9], pa.int64()),
        pa.array([0, 2**64 - 1, 17], pa.uint64()),
        pa.array([1.0, 2.0, 3.5]),
        pa.array([dt.date(2020, 1, 1), dt.date(2020, 1, 8), dt.date(2020, 1, 15)]),
        pa.array([dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2020, 1, 2, tzinfo=dt.UTC)]),
    ],
    ids=lambda array: str(array.type),
)
def test_sequences(array: pa.Array) -> None:
    """Numbers and dates go on with new values of the same type, at the edge of the type too."""
    new = SequenceIdentifier.of(array).values(0, 20, array.type)
    assert new.type == array.type
    assert len(set(new.to_pylist())) == 20
    assert not set(new.to_pylist()) & set(array.to_pylist())


def test_sequences_keep_their_distance() -> None:
    """Identifiers in tens go on in tens, over batches."""
    sequence = SequenceIdentifier.of(pa.array([10, 20, 30, 40]))
    assert sequence.values(2, 3, pa.int64()).to_pylist() == [61, 71, 81]


def test_no_room() -> None:
    """A type with no room for so many new values is refused, saying how many there are."""
    with pytest.raises(Failure, match="room for only"):
        SequenceIdentifier.of(pa.array(range(100), pa.int8())).values(0, 200, pa.int8())
