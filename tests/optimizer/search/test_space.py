"""A request's search space: what is refused, what is asked of it, and how its points travel."""

import json
from math import lcm
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.optimizer.search import InvalidSearch, Space
from services.optimizer.search.domains import Choices, IntegerRange, RealRange
from tests.optimizer.search.tables import COPULA, CTGAN, EXAMPLE, TVAE, faults, property_test, space

UNITS = st.floats(0, 1)


def test_example_of_the_interface() -> None:
    """Ranges of integers stay integers, though JSON made them floats; a learning rate is searched by its logarithm."""
    parsed = space({"epochs": [50.0, 200.0], "batch_size": [100.0, 1000.0], "learning_rate": [1e-4, 1e-2]})
    assert parsed.domains == (
        IntegerRange("batch_size", 100, 1000),
        IntegerRange("epochs", 50, 200),
        RealRange("learning_rate", 1e-4, 1e-2, logarithmic=True),
    )
    assert parsed.size is None


def test_every_fault_is_told_at_once() -> None:
    """Unknown names (with the nearest), wrong types, empty, inverted and too wide ranges and doubles come together."""
    found = faults(
        {
            "epohcs": [50, 200],
            "epochs": [200, 50],
            "batch_size": [100.5, True],
            "generator_lr": [0, 2],
            "learning_rate": [float("nan"), "0.1"],
            "discriminator_lr": {"choices": [1e-3, 1e-3]},
            "generator_dim": {"choices": [[64, 64], [0, 5000], [], 7, [1.5]]},
            "discriminator_dim": [64, 128],
            "discriminator_steps": [3, 3],
            "log_frequency": {"choices": [1, "true", False]},
            "pac": {"choice": [1, 5]},
        }
    )
    assert {field for field, _ in found} == {
        f"search_space.{name}"
        for name in (
            *("epohcs", "epochs", "batch_size", "generator_lr", "learning_rate", "discriminator_lr", "generator_dim"),
            *("discriminator_dim", "discriminator_steps", "log_frequency", "pac"),
        )
    }
    told = "\n".join(f"{field}: {description}" for field, description in found)
    assert "search_space.epohcs: There is no such parameter; did you mean epochs?" in told
    assert "search_space.epochs: The range is upside down: 200 is above 50." in told
    assert "search_space.batch_size: 100.5 is not a whole number." in told
    assert "search_space.batch_size: true is not a whole number." in told
    assert "search_space.generator_lr: 0 is out of range: it can be 1e-07 to 1." in told
    assert "search_space.generator_lr: 2 is out of range" in told
    assert "search_space.learning_rate: nan is not a number." in told
    assert 'search_space.learning_rate: "0.1" is not a number.' in told
    assert "search_space.learning_rate: It sets both learning rates" in told
    assert "search_space.discriminator_lr: 0.001 is given twice." in told
    assert "search_space.generator_dim: 5000 is out of range: it can be 1 to 4096." in told
    assert "search_space.generator_dim: [] is not a list of whole numbers." in told
    assert "search_space.generator_dim: 1.5 is not a whole number." in told
    assert "search_space.discriminator_dim: It is a list of whole numbers, which has no range." in told
    assert "search_space.discriminator_steps: The range from 3 to 3 is empty." in told
    assert "search_space.log_frequency: 1 is neither true nor false." in told
    assert 'search_space.pac: Give a range as two numbers, [low, high], or {"choices": […]}.' in told


@pytest.mark.parametrize(
    ("raw", "description"),
    [
        ({}, "Name at least one parameter to search"),
        ({"epochs": {"choices": [100]}}, "It has only one point (epochs 100)"),
        ({"batch_size": [100, 108], "epochs": {"choices": [50]}}, "It has only one point (batch_size 100, epochs 50)"),
    ],
)
def test_nothing_to_search(raw: dict[str, Any], description: str) -> None:
    """A space of no parameter or of one point is refused, also where only snapping leaves one."""
    ((field, told),) = faults(raw)
    assert field == "search_space"
    assert told.startswith(description)


def test_hostile_entries() -> None:
    """Entries of any shape are refused in words of bounded length."""
    raw = {
        "x" * 10_000: 1,
        "epochs": {"choices": list(range(10, 500))},
        "pac": [1, 2, 3],
        "batch_size": None,
        "learning_rate": [1e308 * 10, -1],
        "generator_dim": {"choices": [[8] * 1000]},
        "log_frequency": {"choices": "true"},
    }
    found = faults(raw)
    assert len({field for field, _ in found}) == len(raw)
    assert all(len(field) < 100 and len(description) < 400 for field, description in found)


def test_words_are_checked_against_their_choices() -> None:
    """A word that isn't one of a parameter's is refused with the nearest one."""
    ((field, told),) = faults({"default_distribution": {"choices": ["norm", "bet"]}}, COPULA)
    assert field == "search_space.default_distribution"
    assert "did you mean beta?" in told
    assert space({"default_distribution": {"choices": ["norm", "beta"]}}, COPULA).size == 2


def test_learning_rate_sets_both_rates_of_a_gan() -> None:
    """A searched learning rate becomes both rates of a GAN and replaces fixed ones; elsewhere it stays what it is."""
    gan = space({"learning_rate": [1e-4, 1e-2]}, fixed={"generator_lr": 1e-3, "pac": 5})
    assert gan.model_parameters({"learning_rate": 0.003}) == {
        "pac": 5,
        "generator_lr": 0.003,
        "discriminator_lr": 0.003,
    }
    vae = space({"learning_rate": [1e-4, 1e-2]}, TVAE, fixed={"learning_rate": 1e-3, "epochs": 20})
    assert vae.model_parameters({"learning_rate": 0.003}) == {"learning_rate": 0.003, "epochs": 20}
    one = space({"generator_lr": [1e-4, 1e-2]}, fixed={"learning_rate": 1e-3})
    assert one.model_parameters({"generator_lr": 0.003}) == {"generator_lr": 0.003}


def test_scales() -> None:
    """A rate or a weight decay is searched by its logarithm unless its range begins at 0; half-way is the middle."""
    logarithmic = space({"l2scale": [1e-6, 1e-2], "learning_rate": [1e-4, 1e-2]}, TVAE)
    assert logarithmic.decode([0.5, 0.5]) == {"l2scale": 1e-4, "learning_rate": 1e-3}
    assert space({"l2scale": [0, 1e-2]}, TVAE).decode([0.5]) == {"l2scale": 0.005}


@property_test
@given(
    units=st.tuples(UNITS, UNITS),
    low=st.integers(2, 900),
    width=st.integers(1, 900),
    rows=st.integers(20, 1500),
    pac_low=st.integers(1, 5),
    pac_width=st.integers(1, 5),
)
def test_batches_are_what_the_model_takes(
    units: tuple[float, float], low: int, width: int, rows: int, pac_low: int, pac_width: int
) -> None:
    """Any sampled batch is an even multiple of the sampled pac, no larger than the table, and in range if any is."""
    try:
        parsed = space({"batch_size": [low, low + width], "pac": [pac_low, pac_low + pac_width]}, rows=rows)
    except InvalidSearch:
        return  # only one point is left
    point: dict[str, Any] = {**parsed.decode(units)}
    batch, unit = point["batch_size"], lcm(2, point["pac"])
    assert batch % unit == 0
    assert 2 <= batch <= rows
    if any(candidate % unit == 0 for candidate in range(low, min(low + width, rows) + 1)):
        assert low <= batch <= low + width
    assert parsed.snapped(point) == point


def test_batches_snap_to_the_nearest() -> None:
    """A choice goes to the nearest multiple of pac; without pac any batch within the table will do."""
    gan = space({"batch_size": {"choices": [100, 128, 256, 5000]}, "epochs": [10, 20]}, rows=400)
    assert [gan.snapped({"batch_size": size, "epochs": 10})["batch_size"] for size in (100, 128, 125, 5000)] == [
        *(100, 130, 120, 400),
    ]
    assert gan.size == 4 * 11
    vae = space({"batch_size": [101, 500]}, TVAE, rows=333)
    assert vae.decode([1.0]) == {"batch_size": 333}
    assert vae.decode([0.0]) == {"batch_size": 101}


def test_pac_larger_than_the_table() -> None:
    """A pac of which the table doesn't fill one batch is refused."""
    ((field, told),) = faults({"pac": {"choices": [1, 10, 99]}}, rows=50)
    assert field == "search_space.pac"
    assert told == "The table has 50 rows to train on, too few for a batch of 198, as 99 needs."


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Spaces of a GAN, of several kinds of parameters."""
    raw: dict[str, object] = {"epochs": sorted(draw(st.sets(st.integers(10, 500), min_size=2, max_size=2)))}
    if draw(st.booleans()):
        raw["learning_rate"] = sorted(draw(st.sets(st.sampled_from([1e-5, 1e-4, 3e-3, 0.1]), min_size=2, max_size=2)))
    if draw(st.booleans()):
        raw["pac"] = {"choices": draw(st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True))}
    if draw(st.booleans()):
        raw["batch_size"] = [draw(st.integers(2, 200)), draw(st.integers(201, 3000))]
    if draw(st.booleans()):
        raw["log_frequency"] = {"choices": [True, False]}
    if draw(st.booleans()):
        raw["generator_dim"] = {"choices": [[64, 64], [128], [256, 256, 256]]}
    return space(raw, rows=draw(st.sampled_from([None, 150, 10_000])))


@property_test
@given(parsed=spaces(), data=st.data())
def test_points_are_plain_and_travel(parsed: Space, data: st.DataObject) -> None:
    """Any point is plain Python, lies in the space, and survives JSON that makes floats of all numbers."""
    units = [data.draw(UNITS) for _ in parsed.domains]
    point = parsed.decode(units)
    assert set(map(type, point.values())) <= {int, float, bool, list}
    for domain in parsed.domains:
        value: Any = point[domain.name]
        if isinstance(domain, Choices) and domain.name != "batch_size":
            assert value in domain.choices
        elif not isinstance(domain, Choices):
            assert domain.low <= value <= domain.high or domain.name == "batch_size"
    assert all(0 <= unit <= 1 for unit in parsed.encode(point))
    travelled = json.loads(json.dumps(point), parse_int=float)
    adopted = parsed.adopt(travelled)
    assert adopted == point
    assert {name: type(value) for name, value in adopted.items()} == {n: type(v) for n, v in point.items()}


@property_test
@given(parsed=spaces(), data=st.data())
def test_encoding_and_decoding_agree(parsed: Space, data: st.DataObject) -> None:
    """A point's place in the unit cube decodes to the same point, to the digits that are searched."""
    point = parsed.decode([data.draw(UNITS) for _ in parsed.domains])
    again = parsed.decode(parsed.encode(point))
    for name, value in point.items():
        assert again[name] == (pytest.approx(value, rel=1e-5) if isinstance(value, float) else value)


def test_size_counts_what_snapping_leaves() -> None:
    """A finite space's size is the number of its different points, which listing gives once each."""
    raw = {"batch_size": [20, 100], "pac": {"choices": [1, 7, 10]}, "log_frequency": {"choices": [True, False]}}
    parsed = space(raw, rows=64)
    points = list(parsed.points())
    assert len({parsed.key(point) for point in points}) == len(points) == parsed.size
    assert {point["batch_size"] for point in points if point["pac"] == 7} == {28, 42, 56}
    with pytest.raises(ValueError, match="more points than can be listed"):
        list(space(EXAMPLE, CTGAN).points())


def test_foreign_points_are_not_adopted() -> None:
    """A recorded point with other parameters or values than the space's is refused."""
    parsed = space({"epochs": [10, 20], "log_frequency": {"choices": [True, False]}})
    with pytest.raises(ValueError, match="A point of this space has epochs, log_frequency"):
        parsed.adopt({"epochs": 12})
    with pytest.raises(ValueError, match="log_frequency can't be 'yes'"):
        parsed.adopt({"epochs": 12, "log_frequency": "yes"})
