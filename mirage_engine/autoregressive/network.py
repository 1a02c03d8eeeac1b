"""The network: the probability of each digit of a row given any set of the others.

An autoregressive density over discrete digits, made to hold for any order of the columns (Uria, Murray and
Larochelle, "A deep and tractable density estimator", ICML 2014; for tables, Tiwald et al., "TabularARGN", 2025). A
digit's context is the sum of the embeddings of those before it, whatever they are, so one set of weights serves all
orders:

    context_j = b_j + Σ_{i before j} E[x_i]
    hidden_j  = relu(V_j · relu(context_j) + c_j)
    p(x_j | before) = softmax(U_j · hidden_j + d_j)
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 the name by which all know it
from numpy.typing import NDArray
from torch import Tensor, nn

from mirage_engine.autoregressive.shape import TableShape

NEVER = -1e4
"""A logit whose probability is exactly nought in single precision, and which averaging keeps as it is."""


class AutoregressiveNetwork(nn.Module):
    """Weights for one table's digits; `digits` below is their number.

    Weights start from a generator of their own; `start_from` makes the untrained network draw every column from its
    own frequencies, so that training begins at the independent model and a table of two rows needs none.
    """

    def __init__(self, shape: TableShape, width: int, inner_width: int, seed: int) -> None:
        super().__init__()
        self.shape = shape
        self.precision = fastest_precision()
        digits = len(shape.digits)
        generator = torch.Generator().manual_seed(seed)

        def normal(*size: int, deviation: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(*size, generator=generator) * deviation)

        self.embedding = normal(int(shape.token_starts[-1]), width, deviation=len(shape.columns) ** -0.5)
        self.context_bias = nn.Parameter(torch.zeros(digits, width))
        self.inner = normal(digits, width, inner_width, deviation=(2 / width) ** 0.5)
        self.inner_bias = nn.Parameter(torch.zeros(digits, 1, inner_width))
        self.output = normal(int(shape.value_starts[-1]), inner_width, deviation=0.1 * inner_width**-0.5)
        # Of a coarse digit one row; of a fine one a row for each group, in which what the group lacks can't be had.
        self.output_bias = nn.ParameterList(
            torch.zeros(shape.columns[digit.column].sizes[0] if digit.fine else 1, digit.size) for digit in shape.digits
        )

    def start_from(self, frequencies: Sequence[NDArray[np.float64]]) -> None:
        """Sets the output's biases to the logarithms of what `Rows.frequencies` tells."""
        with torch.no_grad():
            for digit, bias in zip(self.shape.digits, self.output_bias, strict=True):
                column = self.shape.columns[digit.column]
                shares = frequencies[digit.column]
                if digit.fine:
                    for group, (start, end) in enumerate(pairwise(column.starts)):
                        bias[group] = NEVER
                        bias[group, : end - start] = torch.from_numpy(
                            np.log(shares[start:end] / shares[start:end].sum())
                        )
                else:
                    bias[0] = torch.from_numpy(np.log(np.add.reduceat(shares, column.starts[:-1])))

    def logits(self, digit: int, hidden: Tensor, group: Tensor | None, bias: Tensor | None = None) -> Tensor:
        """Of one digit's values; `hidden` (rows, inner width) comes of `inner_layer`, `group` is the coarse digit.

        `bias` stands in for the digit's own.
        """
        start, end = self.shape.value_starts[digit : digit + 2]
        bias = self.output_bias[digit] if bias is None else bias
        products = hidden @ self.output[start:end].to(hidden.dtype).T
        return products.float() + (bias if group is None else bias[group])

    def inner_layer(self, digit: int, context: Tensor) -> Tensor:
        """One digit's hidden layer, from the sum of the embeddings before it; shapes (rows, width), (rows, inner)."""
        first = (context + self.context_bias[digit]).to(self.precision).relu_()
        inner, bias = self.inner[digit].to(self.precision), self.inner_bias[digit].to(self.precision)
        return torch.addmm(bias, first, inner).relu_()

    def losses(self, tokens: Tensor, values: Tensor, ranks: Tensor, dropout: "Dropout | None" = None) -> Tensor:
        """Negative log-likelihood of every digit given those of lower rank in its row, in nats; (digits, rows).

        `tokens`, `values` and `ranks` are of shape (rows, digits).
        """
        before = (ranks[:, :, None] > ranks[:, None, :]).to(self.precision)
        embedded = F.embedding(tokens, self.embedding).to(self.precision)
        first = F.relu(torch.bmm(before, embedded) + self.context_bias.to(self.precision))
        if dropout is not None:
            first = dropout(first)
        inner, inner_bias = self.inner.to(self.precision), self.inner_bias.to(self.precision)
        hidden = F.relu(torch.baddbmm(inner_bias, first.transpose(0, 1).contiguous(), inner))
        if dropout is not None:
            hidden = dropout(hidden)
        losses = []
        for place, (digit, inputs) in enumerate(zip(self.shape.digits, hidden.unbind(0), strict=True)):
            group = values[:, place - 1] if digit.fine else None
            losses.append(F.cross_entropy(self.logits(place, inputs, group), values[:, place], reduction="none"))
        return torch.stack(losses)


def fastest_precision() -> torch.dtype:
    """What matrices are multiplied in: bfloat16 where the processor has instructions for it, several times as fast.

    Weights, biases, probabilities and losses stay in single precision.
    """
    asked = (torch.cpu._is_avx512_bf16_supported, torch.cpu._is_amx_tile_supported)  # noqa: SLF001 the only way to ask
    return torch.bfloat16 if any(supported() for supported in asked) else torch.float32


class Dropout:
    """Dropout whose chance comes from a generator of its own, so that a step can be done again exactly.

    A byte of chance decides on each value, so shares are multiples of 1/256: this is several times as fast as a draw in
    full precision, which took a quarter of a step.
    """

    def __init__(self, share: float, generator: np.random.Generator) -> None:
        self._dropped = round(share * 256)
        self._generator = generator

    def __call__(self, values: Tensor) -> Tensor:
        """Zeroes a share of the values and scales the others up for it."""
        if self._dropped == 0:
            return values
        chance = np.frombuffer(self._generator.bytes(values.numel()), np.uint8)
        kept = torch.from_numpy(chance >= self._dropped).view(values.shape).to(values.dtype)
        return values * kept.mul_(256 / (256 - self._dropped))
