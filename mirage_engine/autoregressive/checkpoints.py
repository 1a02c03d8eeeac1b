"""Checkpoints: the whole state of training in a file, of the same format as a model's."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mirage_engine import storage
from mirage_engine.autoregressive.model import Record
from mirage_engine.autoregressive.training import Trainer, TrainingState
from mirage_engine.errors import ModelFileRefused

KIND = "autoregressive-checkpoint"


def save(path: Path, trainer: Trainer, record: Record) -> None:
    """Writes where training stands."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in trainer.network.named_parameters():
        tensors[f"weights/{name}"] = parameter
        tensors[f"averaged/{name}"] = trainer.averaged[name]
        tensors[f"best/{name}"] = trainer.best[name]
        for moment, tensor in trainer.optimizer.state[parameter].items():
            tensors[f"optimizer/{moment}/{name}"] = tensor
    state = asdict(trainer.state)
    state["best_loss"] = repr(state["best_loss"])  # JSON has no infinity
    storage.write(path, KIND, {"state": state, "record": asdict(record)}, tensors, key=None)


def resume(path: Path, trainer: Trainer, record: Record) -> bool:
    """Puts a trainer where a checkpoint left off; False if there is none yet.

    Raises ModelFileRefused if the checkpoint is of another table, other settings or another seed, so that nobody's
    work is overwritten by mistake.
    """
    if not path.exists():
        return False
    about, tensors = storage.read(path, KIND, key=None)
    told = Record.from_json(about["record"])
    work = ("seed", "rows", "data_hash", "settings")
    other = [name for name in work if getattr(told, name) != getattr(record, name)]
    if other:
        raise ModelFileRefused(f"{path.name} is a checkpoint of other work ({', '.join(other)}): name another file")
    trainer.state = TrainingState(**{**about["state"], "best_loss": float(about["state"]["best_loss"])})
    with torch.no_grad():
        for name, parameter in trainer.network.named_parameters():
            parameter.copy_(tensors[f"weights/{name}"])
            trainer.averaged[name].copy_(tensors[f"averaged/{name}"])
            trainer.best[name].copy_(tensors[f"best/{name}"])
            trainer.optimizer.state[parameter] = _moments(tensors, name)
    return True


def _moments(tensors: dict[str, Tensor], name: str) -> dict[str, Any]:
    moments = ("step", "exp_avg", "exp_avg_sq")
    return {moment: found for moment in moments if (found := tensors.get(f"optimizer/{moment}/{name}")) is not None}
