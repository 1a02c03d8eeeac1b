"""Training: minimal negative log-likelihood over random orders, stopped when held-out rows get no likelier.

All chance is a function of the seed and the step, never of what went before, so that training which was broken off
goes on from a checkpoint to the same weights, bit for bit.
"""

import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from mirage_engine.autoregressive.network import AutoregressiveNetwork, Dropout
from mirage_engine.autoregressive.orders import random_ranks
from mirage_engine.autoregressive.rows import Rows
from mirage_engine.autoregressive.sampling import Sampler
from mirage_engine.autoregressive.settings import AutoregressiveSettings
from mirage_engine.codec import TableCodec
from mirage_engine.conditions import resolve
from mirage_engine.errors import Cancelled, TrainingDiverged
from mirage_engine.progress import Epoch, Listener, Step, nobody
from mirage_engine.randomness import generator_for

WARM_UP_STEPS = 50
LEAST_PATIENT_STEPS = 200
"""On small tables an epoch is a few steps only: patience lasts at least so many."""
HELD_OUT_ORDERS = 2_000
"""How many pairs of a held-out row and an order are measured at least: few rows are seen in several orders."""
EVALUATION_ROWS = 2_048
_BATCHES_AN_EPOCH = 50


@dataclass
class TrainingState:
    """All that a later step depends on, besides the rows, the settings and the seed."""

    epoch: int = 0
    step: int = 0
    total_steps: int = 0
    loss_sum: float = 0.0
    best_loss: float = math.inf
    best_epoch: int = 0
    best_step: int = 0
    history: list[dict[str, float | None]] = field(default_factory=list)
    finished: bool = False


class Trainer:
    """Trains a network in place; `best` are the averaged weights that did best on the rows held out."""

    def __init__(
        self,
        network: AutoregressiveNetwork,
        codec: TableCodec,
        rows: Rows,
        held_out: Rows,
        settings: AutoregressiveSettings,
        seed: int,
    ) -> None:
        self.network = network
        self.state = TrainingState()
        self._codec = codec
        self._rows = rows
        self._held_out = held_out
        self._settings = settings
        self._seed = seed
        self._batch = settings.batch_rows or batch_rows(len(rows))
        self._steps = max(1, math.ceil(len(rows) / self._batch))
        named = dict(network.named_parameters())
        self.averaged = {name: tensor.detach().clone() for name, tensor in named.items()}
        self.best = {name: tensor.clone() for name, tensor in self.averaged.items()}
        decayed = [tensor for name, tensor in named.items() if "bias" not in name]
        others = [tensor for name, tensor in named.items() if "bias" in name]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": settings.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=settings.learning_rate,
            betas=(0.9, 0.99),
            fused=True,
        )

    def run(self, listener: Listener, save: Callable[["Trainer"], None] | None = None) -> None:
        """Trains to the end. `save` is called after every epoch, and when the listener calls the work off by Cancelled.

        Whatever else ends the work may have struck in the middle of a step, which no checkpoint can tell.

        Raises TrainingDiverged if a loss stops being a number, and whatever the listener raises.
        """
        if self.state.epoch == 0 and self.state.step == 0 and len(self._held_out):
            self.state.best_loss = self.evaluate()
        while not self.state.finished:
            try:
                self._epoch(listener)
            except Cancelled:
                if save is not None:
                    save(self)
                raise
            if save is not None:
                save(self)

    def evaluate(self) -> float:
        """Mean negative log-likelihood of the held-out rows under the averaged weights, in nats a row.

        The orders are the same at each time.
        """
        generator = generator_for(self._seed, "held-out orders")
        repeats = math.ceil(HELD_OUT_ORDERS / len(self._held_out))
        places = np.tile(np.arange(len(self._held_out)), repeats)
        total = 0.0
        with torch.no_grad(), _weights(self.network, self.averaged):
            for start in range(0, len(places), EVALUATION_ROWS):
                tokens, values = self._held_out.tensors(places[start : start + EVALUATION_ROWS])
                share = self._settings.home_order_share
                ranks = random_ranks(self.network.shape, len(tokens), share, generator)
                total += float(self.network.losses(tokens, values, torch.from_numpy(ranks)).sum(dtype=torch.float64))
        return total / len(places)

    def draw(self, rows: int, seed: int) -> pa.Table:
        """Rows of the model as it would be if training ended now.

        Their chance is addressed by seed and number; training, which has its own, goes on to the same weights.
        """
        with _weights(self.network, self.best):
            sampler = Sampler(self.network, self._codec, seed, resolve(self._codec, {}))
            batches = sampler.draw(0, rows, torch.get_num_threads(), nobody)
            return pa.Table.from_batches(batches, self._codec.schema)

    def _epoch(self, listener: Listener) -> None:
        state = self.state
        order = generator_for(self._seed, f"rows of epoch {state.epoch}").permutation(len(self._rows))
        started, first_step = time.perf_counter(), state.step
        while state.step < self._steps:
            loss = self._step(*self._rows.tensors(order[state.step * self._batch : (state.step + 1) * self._batch]))
            state.step += 1
            state.total_steps += 1
            state.loss_sum += loss
            listener(Step(state.epoch + 1, state.step, self._steps, loss))
        trained = time.perf_counter() - started
        self._end_epoch(listener, self._batch * (self._steps - first_step) / max(trained, 1e-9), started)

    def _step(self, tokens: Tensor, values: Tensor) -> float:
        state, settings = self.state, self._settings
        stream = f"step {state.step} of epoch {state.epoch}"
        chance = generator_for(self._seed, f"dropout, {stream}")
        ranks = random_ranks(
            self.network.shape, len(tokens), settings.home_order_share, generator_for(self._seed, f"orders, {stream}")
        )
        losses = self.network.losses(tokens, values, torch.from_numpy(ranks), Dropout(settings.dropout, chance))
        loss = losses.sum(0).mean()
        if not bool(torch.isfinite(loss)):
            raise TrainingDiverged("the loss stopped being a number: a lower learning rate helps")
        warm_up = min(1.0, (state.total_steps + 1) / WARM_UP_STEPS)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * warm_up
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
        self.optimizer.step()
        # Early on an average over many steps would remember the start too well.
        decay = min(settings.averaging, (1 + state.total_steps) / (10 + state.total_steps))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.averaged.values()), list(self.network.parameters()), 1 - decay)
        return float(loss.detach())

    def _end_epoch(self, listener: Listener, rows_per_second: float, started: float) -> None:
        state = self.state
        loss = state.loss_sum / self._steps
        held_out = self.evaluate() if len(self._held_out) else None
        best = held_out is None or held_out < state.best_loss
        state.epoch, state.step, state.loss_sum = state.epoch + 1, 0, 0.0
        if best:
            state.best_loss = math.inf if held_out is None else held_out
            state.best_epoch, state.best_step = state.epoch, state.total_steps
            for name, tensor in self.averaged.items():
                self.best[name].copy_(tensor)
        waited = state.epoch - state.best_epoch >= self._settings.patience
        state.finished = state.epoch >= self._settings.epochs or (
            waited and state.total_steps - state.best_step >= LEAST_PATIENT_STEPS
        )
        state.history.append({"loss": loss, "held_out_loss": held_out})
        seconds_left = (self._settings.epochs - state.epoch) * (time.perf_counter() - started)
        listener(
            Epoch(
                epoch=state.epoch,
                epochs=self._settings.epochs,
                loss=loss,
                held_out_loss=held_out,
                best=best,
                rows_per_second=rows_per_second,
                seconds_left=0.0 if state.finished else seconds_left,
                memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                draw=self.draw,
            )
        )


def batch_rows(rows: int) -> int:
    """Rows a step: a power of two that makes about fifty steps of an epoch, 32 to 1024."""
    return int(np.clip(2 ** round(math.log2(max(rows, 1) / _BATCHES_AN_EPOCH)), 32, 1024)) if rows > 1 else 1


class _weights:  # noqa: N801 used as a statement
    """Lends a network other weights for a while."""

    def __init__(self, network: AutoregressiveNetwork, weights: dict[str, Tensor]) -> None:
        self._parameters = dict(network.named_parameters())
        self._weights = weights
        self._own: dict[str, Tensor] = {}

    def __enter__(self) -> None:
        for name, parameter in self._parameters.items():
            self._own[name] = parameter.data
            parameter.data = self._weights[name]

    def __exit__(self, *_: object) -> None:
        for name, parameter in self._parameters.items():
            parameter.data = self._own[name]
