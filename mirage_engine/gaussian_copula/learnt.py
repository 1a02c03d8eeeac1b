"""All that a Gaussian copula has learnt of a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mirage_engine.codec import TableCodec
from mirage_engine.gaussian_copula.latents import Latent, latents_of
from mirage_engine.gaussian_copula.normal import Floats


@dataclass(frozen=True, eq=False)
class Learnt:
    """A table's columns, and how they move together.

    `counts` are rows by leaf for each learnt column, `orders` the leaves of each category in order, by column;
    `correlations` those of the variables that they make, of shape (variables, variables).
    """

    codec: TableCodec
    counts: list[NDArray[np.int64]]
    orders: Mapping[int, NDArray[np.int64]]
    correlations: Floats

    @cached_property
    def latents(self) -> list[Latent]:
        """The variables."""
        return latents_of(self.codec, self.counts, self.orders)

    def tensors(self) -> dict[str, Tensor]:
        """What a file keeps beside the codec, by name."""
        kept = {f"counts.{place}": torch.from_numpy(counts) for place, counts in enumerate(self.counts)}
        kept |= {f"orders.{place}": torch.from_numpy(order) for place, order in self.orders.items()}
        return {**kept, "correlations": torch.from_numpy(self.correlations)}

    @classmethod
    def from_tensors(cls, codec: TableCodec, tensors: Mapping[str, Tensor]) -> "Learnt":
        """The same as before `tensors`."""
        counts = [tensors[f"counts.{place}"].numpy() for place in range(len(codec.columns))]
        orders = {
            place: tensors[f"orders.{place}"].numpy()
            for place in range(len(codec.columns))
            if f"orders.{place}" in tensors
        }
        return cls(codec, counts, orders, tensors["correlations"].numpy())
