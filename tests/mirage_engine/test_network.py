"""The network's arithmetic against a slow, plain reference, and columns that need two digits."""

import numpy as np
import pyarrow as pa
import pytest
import torch

import mirage_engine
from mirage_engine import AutoregressiveSettings, CodecSettings, Range
from mirage_engine.autoregressive.constraints import constrained_biases
from mirage_engine.autoregressive.network import AutoregressiveNetwork, Dropout, fastest_precision
from mirage_engine.autoregressive.orders import random_ranks, ranks_of
from mirage_engine.autoregressive.shape import TableShape
from mirage_engine.codec.digits import Digits

# One digit, one digit, two digits that share their tokens, two that don't.
COLUMNS = [
    Digits(4, 5, ordered=True),
    Digits(3, 3, ordered=False),
    Digits(300, 301, ordered=True),
    Digits(1100, 1101, ordered=False),
]


@pytest.fixture
def network() -> AutoregressiveNetwork:
    """A network with random weights and biases, in single precision."""
    shape = TableShape(COLUMNS)
    network = AutoregressiveNetwork(shape, width=12, inner_width=7, seed=3)
    random = np.random.default_rng(0)
    network.start_from([random.dirichlet(np.ones(column.leaves)) for column in COLUMNS])
    with torch.no_grad():
        network.context_bias.normal_(generator=torch.Generator().manual_seed(1))
        network.output.mul_(10)
    network.precision = torch.float32
    return network


def some_values(rows: int) -> np.ndarray:
    """Digits of random leaves."""
    random = np.random.default_rng(1)
    leaves = [random.integers(0, column.leaves, rows).astype(np.int32) for column in COLUMNS]
    return np.stack(
        [digit for column, leaf in zip(COLUMNS, leaves, strict=True) for digit in column.split(leaf)], 1
    ).astype(np.int64)


def reference_loss(network: AutoregressiveNetwork, values: np.ndarray, ranks: np.ndarray, place: int) -> float:
    """The loss of one digit of one row, by the formula, in double precision."""
    weights = {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}
    shape, digit = network.shape, network.shape.digits[place]
    context = weights["context_bias"][place].copy()
    for other, before in enumerate(ranks < ranks[place]):
        if before:
            token = shape.token_starts[other] + values[other]
            if shape.digits[other].joint:
                token += COLUMNS[shape.digits[other].column].starts[values[other - 1]]
            context += weights["embedding"][token]
    hidden = np.maximum(np.maximum(context, 0) @ weights["inner"][place] + weights["inner_bias"][place][0], 0)
    start, end = shape.value_starts[place : place + 2]
    logits = weights["output"][start:end] @ hidden
    logits += weights[f"output_bias.{place}"][values[place - 1] if digit.fine else 0]
    return float(np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[values[place]])


def test_losses_are_those_of_the_formula(network: AutoregressiveNetwork) -> None:
    """Every digit's loss, in the table's own order and in random ones, agrees with the plain reference."""
    values = some_values(6)
    ranks = random_ranks(network.shape, 6, 0.5, np.random.default_rng(2))
    tokens = torch.from_numpy(network.shape.tokens(values.copy()))
    losses = network.losses(tokens, torch.from_numpy(values), torch.from_numpy(ranks)).detach().numpy()
    expected = [
        [reference_loss(network, values[row], ranks[row], place) for row in range(6)]
        for place in range(len(network.shape.digits))
    ]
    np.testing.assert_allclose(losses, expected, rtol=1e-4, atol=1e-4)


def test_no_digit_sees_those_after_it(network: AutoregressiveNetwork) -> None:
    """Changing the last column of an order changes no other column's loss."""
    values = some_values(4)
    ranks = torch.from_numpy(ranks_of(network.shape, [3, 1, 2, 0])).expand(4, -1)
    changed = values.copy()
    changed[:, 0] = (changed[:, 0] + 1) % 5
    before, after = (
        network.losses(torch.from_numpy(network.shape.tokens(part.copy())), torch.from_numpy(part), ranks)
        for part in (values, changed)
    )
    assert torch.equal(before[1:], after[1:])
    assert not torch.equal(before[0], after[0])


def test_random_orders_keep_columns_together() -> None:
    """A share of the rows has the table's order; in every order a fine digit comes right after its coarse one."""
    ranks = random_ranks(TableShape(COLUMNS), 400, 0.25, np.random.default_rng(0))
    home = ranks_of(TableShape(COLUMNS), range(4))
    assert 100 <= (ranks == home).all(axis=1).sum() < 150
    assert (ranks[:, 3] == ranks[:, 2] + 1).all()
    assert (ranks[:, 5] == ranks[:, 4] + 1).all()
    assert len({tuple(row) for row in ranks.tolist()}) == 24


def test_constraints_are_conditional_probabilities(network: AutoregressiveNetwork) -> None:
    """What may not be drawn has no probability; what may keeps its odds, also where a group is allowed in part."""
    shares = np.zeros(301)
    shares[[7, 8, 150]] = [1.0, 1.0, 0.5]
    free, bound = network.output_bias, constrained_biases(network, {2: shares})
    assert torch.equal(bound[0], free[0])

    def leaves(coarse: torch.Tensor, fine: torch.Tensor) -> np.ndarray:
        joint = torch.softmax(coarse, 1).T * torch.softmax(fine, 1)
        return np.concatenate(
            [
                row[: end - start]
                for row, start, end in zip(
                    joint.detach().numpy(), COLUMNS[2].starts, COLUMNS[2].starts[1:], strict=False
                )
            ]
        )

    expected = leaves(free[2], free[3]) * shares
    np.testing.assert_allclose(leaves(bound[2], bound[3]), expected / expected.sum(), atol=1e-5)


def test_dropout_keeps_the_mean() -> None:
    """As many values are dropped as was asked for, and the others make up for them."""
    ones = torch.ones(200, 500)
    kept = Dropout(0.25, np.random.default_rng(0))(ones)
    assert float((kept == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(kept.mean()) == pytest.approx(1, abs=0.01)
    assert Dropout(0, np.random.default_rng(0))(ones) is ones


def test_precision_suits_the_processor() -> None:
    """Matrices are multiplied in a precision that the processor is fast in."""
    assert fastest_precision() in {torch.float32, torch.bfloat16}


def test_columns_with_very_many_values() -> None:
    """Thousands of levels and of numbers are learnt in two digits, with their dependence, and conditions hold."""
    random = np.random.default_rng(0)
    tail = random.integers(0, 1200, 8_000)
    table = pa.table(
        {
            "tail": pa.array([f"N{number:04}" for number in tail]),
            "amount": (tail // 3 + random.integers(0, 100, 8_000)) / 2,
            "hub": pa.array(np.array(["ATL", "ORD", "DFW"])[tail // 400]),
        }
    )
    settings = AutoregressiveSettings(width=48, inner_width=32, epochs=5, learning_rate=0.01, weight_decay=0.01)
    model = mirage_engine.fit(table, settings, CodecSettings(rare_levels="keep"))
    assert len(model.codec.sizes) == 5
    made = model.sample_table(3000, seed=1)
    assert set(made["tail"].to_pylist()) <= set(table["tail"].to_pylist())
    assert len(set(made["tail"].to_pylist())) > 800
    hubs = np.array(["ATL", "ORD", "DFW"])[np.array([int(level[1:]) for level in made["tail"].to_pylist()]) // 400]
    assert np.mean(hubs == made["hub"].to_numpy()) > 0.6
    ranged = model.sample_table(500, conditions={"amount": Range(150.25, 180), "tail": ["N0700", "N0701"]})
    assert all(150.25 <= amount <= 180 for amount in ranged["amount"].to_pylist())
    assert set(ranged["tail"].to_pylist()) <= {"N0700", "N0701"}
