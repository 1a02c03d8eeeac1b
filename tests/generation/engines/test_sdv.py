"""What is particular to SDV's synthesizers."""

import sys

import pyarrow as pa
import pytest

from services.generation.engines.protocol import Failure, ModelSpec
from services.generation.engines.sdv import SdvEngine, SdvModel
from tests.generation.engines.conftest import Listener

# Every parameter with a value that isn't the default.
CTGAN: dict[str, object] = {
    "epochs": 2,
    "batch_size": 60,
    "generator_dim": [32, 16],
    "discriminator_dim": [48],
    "generator_lr": 3e-4,
    "discriminator_lr": 4e-4,
    "discriminator_steps": 2,
    "log_frequency": False,
    "pac": 6,
}
TVAE: dict[str, object] = {
    "epochs": 2,
    "batch_size": 60,
    "embedding_dim": 24,
    "compress_dims": [40, 20],
    "decompress_dims": [30],
    "l2scale": 1e-4,
    "learning_rate": 1e-3,
    "loss_factor": 3.0,
}
OTHERS: dict[str, dict[str, object]] = {
    "ctgan": CTGAN,
    "tvae": TVAE,
    "copulagan": CTGAN | {"default_distribution": "norm"},
    "gaussian_copula": {"default_distribution": "gamma"},
}


def fitted(model_type: str, table: pa.Table, **changes: object) -> SdvModel:
    """A synthesizer with none of its parameters at the default."""
    return SdvEngine().fit(table, ModelSpec(model_type, OTHERS[model_type] | changes, 1), Listener())


@pytest.mark.parametrize("model_type", OTHERS)
def test_nothing_is_left_at_its_default(model_type: str) -> None:
    """The values tried below differ from the defaults for every parameter there is, but the one that is fixed."""
    table = SdvEngine.model_types[model_type].parameters
    assert set(OTHERS[model_type]) == set(table().in_force())
    for name, value in OTHERS[model_type].items():
        if name != "learning_rate":
            table.model_validate({name: 10 if name == "epochs" else value})
            assert value != table.model_fields[name].default


@pytest.mark.parametrize("model_type", OTHERS)
def test_every_parameter_reaches_the_synthesizer(model_type: str, learned: pa.Table) -> None:
    """The fitted synthesizer has every parameter as it was given."""
    in_force = fitted(model_type, learned).synthesizer.get_parameters()
    for name, value in OTHERS[model_type].items():
        if (model_type, name) != ("tvae", "learning_rate"):
            assert in_force[name] == value, name


def test_parameters_shape_the_networks(learned: pa.Table) -> None:
    """The networks inside have the widths that were asked for, and the loops ran as often."""
    ctgan = fitted("ctgan", learned).synthesizer
    widths = {parameter.shape[0] for parameter in ctgan._model._generator.parameters()}
    assert {32, 16} <= widths
    assert len(ctgan.get_loss_values()) == 2
    tvae = fitted("tvae", learned).synthesizer
    assert {parameter.shape for parameter in tvae._model.decoder.parameters()} >= {(30, 24), (30,)}
    assert len(tvae.get_loss_values()) == 2 * 600 / 60


def test_distribution_reaches_the_copula(learned: pa.Table) -> None:
    """The copula's numbers are fitted with the distribution that was asked for."""
    learned_distributions = fitted("gaussian_copula", learned).synthesizer.get_learned_distributions()
    assert learned_distributions["c1"]["distribution"] == "gamma"


def test_divergence_is_told(learned: pa.Table) -> None:
    """A training whose loss is no number any more fails with a reason and advice."""
    with pytest.raises(Failure, match="lower learning rate") as caught:
        fitted("ctgan", learned, generator_lr=1e30, discriminator_lr=1e30)
    assert caught.value.reason == "TRAINING_DIVERGED"


def test_progress_leaves_no_trace(learned: pa.Table) -> None:
    """What is replaced to follow a training is put back after it, whether it ended well or not."""
    names = ("ctgan.synthesizers.ctgan", "ctgan.synthesizers.tvae")
    SdvEngine().warm_up()
    before = [sys.modules[name].__dict__["tqdm"] for name in names]
    with pytest.raises(Failure):
        fitted("ctgan", learned, generator_lr=1e30, discriminator_lr=1e30)
    assert [sys.modules[name].__dict__["tqdm"] for name in names] == before
