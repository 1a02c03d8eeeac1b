"""Completing rows: digits that aren't known are drawn, one column after another, given all that is known by then."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mirage_engine.autoregressive.network import AutoregressiveNetwork

TO_DRAW = -1
"""Stands for a digit's value that is to be drawn."""
SET_ASIDE = -2
"""Stands for a digit's value that is neither known nor wanted."""


@torch.no_grad()
def complete(
    network: AutoregressiveNetwork,
    values: NDArray[np.int64],
    uniforms: NDArray[np.float32],
    columns: Sequence[int],
    biases: Sequence[Tensor],
) -> None:
    """Draws, in place, the values that are TO_DRAW; `values` and `uniforms` (in [0, 1)) have shape (rows, digits).

    Columns are drawn in the order of `columns`. What is known of a row is known from the start, wherever it stands:
    the context is a sum. `biases` are the network's own or `constrained_biases`. A row's result depends on its own
    numbers alone, as long as the number of rows stays the same (other numbers of rows may be summed in another order).
    """
    shape = network.shape
    places = [place for column in columns for place, digit in enumerate(shape.digits) if digit.column == column]
    context = _known_context(network, values)
    for place in places:
        wanted = values[:, place] == TO_DRAW
        if not wanted.any():
            continue
        digit = shape.digits[place]
        group = torch.from_numpy(np.maximum(values[:, place - 1], 0)) if digit.fine else None
        logits = network.logits(place, network.inner_layer(place, context), group, biases[place])
        drawn = categorical(logits, torch.from_numpy(np.ascontiguousarray(uniforms[:, place])))
        tokens = drawn + int(shape.token_starts[place])
        if digit.joint and group is not None:
            tokens += torch.from_numpy(shape.columns[digit.column].starts[:-1]).long()[group]
        if wanted.all():
            values[:, place] = drawn.numpy()
            context += network.embedding.index_select(0, tokens)
        else:
            values[wanted, place] = drawn.numpy()[wanted]
            context += network.embedding.index_select(0, tokens) * torch.from_numpy(wanted)[:, None]


def categorical(logits: Tensor, uniforms: Tensor) -> Tensor:
    """A value for each row, of probability softmax(logits), by inversion; shapes (rows, values), (rows,)."""
    cumulative = torch.softmax(logits, 1).cumsum(1)
    total = cumulative[:, -1:]
    # Strictly below the total, so that no value of probability nought at the end can be met.
    target = torch.minimum(uniforms[:, None] * total, torch.nextafter(total, torch.zeros_like(total)))
    return (cumulative <= target).sum(1)


def _known_context(network: AutoregressiveNetwork, values: NDArray[np.int64]) -> Tensor:
    context = torch.zeros(len(values), network.embedding.shape[1])
    known = values >= 0
    if known.any():
        tokens = torch.from_numpy(network.shape.tokens(np.maximum(values, 0)))
        for place in np.flatnonzero(known.any(0)):
            context += network.embedding.index_select(0, tokens[:, place]) * torch.from_numpy(known[:, place])[:, None]
    return context
