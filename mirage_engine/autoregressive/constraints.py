"""What may be drawn: a column's leaves, each altogether, in part or not at all, as changes of the network's biases."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mirage_engine.autoregressive.network import NEVER, AutoregressiveNetwork


def constrained_biases(network: AutoregressiveNetwork, shares: Mapping[int, NDArray[np.float64]]) -> list[Tensor]:
    """The output's biases for drawing leaves only as far as `shares` (0 to 1, by column and leaf) allow.

    A leaf's logit gets the logarithm of its share. A group's gets the logarithm of what its leaves' shares come to,
    weighted by how frequent they are: what the fine digit will be isn't known yet when the coarse one is drawn.
    """
    shape = network.shape
    biases = [bias.detach() for bias in network.output_bias]
    for place, digit in enumerate(shape.digits):
        if digit.column not in shares:
            continue
        column, allowed = shape.columns[digit.column], shares[digit.column]
        if len(column.sizes) == 1:
            biases[place] = biases[place] + _log(allowed)
            continue
        fine = place if digit.fine else place + 1
        places = _spread(allowed, column.starts, shape.digits[fine].size)
        if digit.fine:
            biases[place] = biases[place] + _log(places)
        else:
            weights = torch.softmax(network.output_bias[fine].detach().double(), 1).numpy()
            biases[place] = biases[place] + _log((weights * places).sum(1))
    return biases


def _log(shares: NDArray[np.float64]) -> Tensor:
    with np.errstate(divide="ignore"):
        return torch.from_numpy(np.maximum(np.log(shares), NEVER).astype(np.float32))


def _spread(shares: NDArray[np.float64], starts: NDArray[np.int32], size: int) -> NDArray[np.float64]:
    """Shares of leaves by group and place in the group; shape (groups, size)."""
    spread = np.zeros((len(starts) - 1, size))
    for group, (start, end) in enumerate(pairwise(starts)):
        spread[group, : end - start] = shares[start:end]
    return spread
