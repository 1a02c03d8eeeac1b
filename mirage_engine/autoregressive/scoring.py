"""How probable rows are under a model."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from mirage_engine.autoregressive.network import AutoregressiveNetwork
from mirage_engine.autoregressive.orders import ranks_of
from mirage_engine.codec import TableCodec
from mirage_engine.codec.column import UNKNOWN
from mirage_engine.errors import TableRefused

_ROWS_AT_ONCE = 1_024


@torch.no_grad()
def log_probabilities(
    network: AutoregressiveNetwork, codec: TableCodec, table: pa.Table, given: Sequence[str]
) -> NDArray[np.float64]:
    """Natural logarithm of each row's probability; shape (rows,). See `AutoregressiveModel.log_probability`."""
    leaves = codec.encode(table, partial=True)
    names = [column.name for column in codec.columns]
    present = [place for place, name in enumerate(names) if name in table.column_names]
    problems = dict.fromkeys(set(given) - {names[place] for place in present}, "it is given, and not in the table")
    if problems or not present:
        raise TableRefused(problems or {"table": f"it has none of the model's columns: {', '.join(names)}"})
    known = [place for place in present if names[place] in given]
    scored = [place for place in present if names[place] not in given]
    # Columns that aren't there come last: what comes last is no context of the others.
    absent = [place for place in range(len(names)) if place not in present]
    ranks = torch.from_numpy(ranks_of(network.shape, [*known, *scored, *absent]))
    counted = torch.tensor([digit.column in scored for digit in network.shape.digits])
    scores = np.empty(len(leaves))
    for start in range(0, len(leaves), _ROWS_AT_ONCE):
        values = codec.split(np.maximum(leaves[start : start + _ROWS_AT_ONCE], 0))
        tokens = torch.from_numpy(network.shape.tokens(values))
        losses = network.losses(tokens, torch.from_numpy(values), ranks.expand(len(values), -1))
        scores[start : start + _ROWS_AT_ONCE] = -losses[counted].sum(0, dtype=torch.float64).numpy()
    for place in scored:
        scores -= codec.columns[place].codec.log_widths[leaves[:, place]]
    scores[(leaves[:, present] == UNKNOWN).any(axis=1)] = -np.inf
    return scores
