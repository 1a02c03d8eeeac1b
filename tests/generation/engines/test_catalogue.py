"""What a request may say about its model, checked without any engine's libraries."""

import subprocess
import sys
from dataclasses import fields

import pytest
from pydantic import ValidationError

from mirage_engine import AutoregressiveSettings, GaussianCopulaSettings
from services.generation.engines import ENGINES
from services.generation.engines.catalogue import (
    CheckedModel,
    check_model,
    describe_model,
    describe_model_types,
    estimate,
)
from services.generation.engines.estimate import TableShape
from services.generation.engines.mirage import MirageEngine
from services.generation.engines.parameters import Limits

CTGAN_DEFAULTS = {
    "epochs": 100,
    "batch_size": 500,
    "generator_dim": [256, 256],
    "discriminator_dim": [256, 256],
    "generator_lr": 2e-4,
    "discriminator_lr": 2e-4,
    "discriminator_steps": 1,
    "log_frequency": True,
    "pac": 10,
}
TVAE_DEFAULTS = {
    "epochs": 100,
    "batch_size": 500,
    "embedding_dim": 128,
    "compress_dims": [128, 128],
    "decompress_dims": [128, 128],
    "l2scale": 1e-5,
    "learning_rate": 1e-3,
    "loss_factor": 2,
}


def faults(
    config: dict[str, object], *, engine: str = "", rows: int | None = None, limits: Limits | None = None
) -> dict[str, str]:
    """What is wrong with a request, by field."""
    with pytest.raises(ValidationError) as caught:
        check_model(config, engine=engine, rows=rows, limits=limits)
    return {".".join(map(str, fault["loc"])): fault["msg"] for fault in caught.value.errors()}


def test_no_engine_library_is_imported() -> None:
    """Checking requests imports neither torch nor SDV nor pandas: the service's own process stays small."""
    program = (
        "import sys; import services.generation.engines.catalogue, services.generation.training.runner;"
        "sys.exit(', '.join({'torch', 'sdv', 'ctgan', 'pandas', 'sklearn'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.stderr.strip() == ""


@pytest.mark.parametrize(
    ("model_type", "defaults"),
    [
        ("ctgan", CTGAN_DEFAULTS),
        ("tvae", TVAE_DEFAULTS),
        ("gaussian_copula", {"default_distribution": "beta"}),
        ("copulagan", CTGAN_DEFAULTS | {"default_distribution": "beta"}),
    ],
)
def test_defaults(model_type: str, defaults: dict[str, object]) -> None:
    """With nothing given, the published defaults are in force, every one of them."""
    assert check_model({"model_type": model_type}) == CheckedModel("sdv", model_type, defaults, ())


def test_an_engine_has_parameters_of_its_own() -> None:
    """What is in force, and what is refused, goes by the engine that was chosen; its description tells the same."""
    checked = check_model({"model_type": "gaussian_copula"}, engine="mirage")
    defaults: dict[str, object] = {"ordering_rows": 20_000, "least_eigenvalue": 1e-4}
    assert checked == CheckedModel("mirage", "gaussian_copula", defaults, ())
    wrong = faults({"model_type": "gaussian_copula", "default_distribution": "beta"}, engine="mirage")
    assert "ordering_rows" in wrong["model_config.default_distribution"]
    assert [parameter.name for parameter in describe_model(checked).parameters] == list(defaults)


@pytest.mark.parametrize(
    ("model_type", "settings"),
    [("autoregressive", AutoregressiveSettings), ("gaussian_copula", GaussianCopulaSettings)],
)
def test_own_parameters_are_the_engines(model_type: str, settings: type[object]) -> None:
    """Every parameter of Mirage's own models is a setting of the engine, with the same default and within its range."""
    table = MirageEngine.model_types[model_type].parameters
    defaults = {field.name: field.default for field in fields(settings)}  # type: ignore[arg-type]  # dataclasses
    for name, value in table().in_force().items():
        assert defaults[name] == value
    for parameter in describe_model(check_model({"model_type": model_type}, engine="mirage")).parameters:
        for bound in (parameter.minimum, parameter.maximum):
            settings(**{parameter.name: bound})


def test_every_fault_at_once() -> None:
    """Unknown names, wrong types and wrong ranges are all told, each where it is."""
    wrong = faults({
        "model_type": "ctgan", "epoch": 3, "epochs": 5, "batch_size": "500", "generator_dim": [256, 0, "x"],
        "pac": True, "generator_lr": float("nan"), "log_frequency": 1,
    })  # fmt: skip
    assert set(wrong) == {
        "model_config.epoch",
        "model_config.epochs",
        "model_config.batch_size",
        "model_config.generator_dim.1",
        "model_config.generator_dim.2",
        "model_config.pac",
        "model_config.generator_lr",
        "model_config.log_frequency",
    }
    assert "batch_size" in wrong["model_config.epoch"]  # the names that there are


@pytest.mark.parametrize(
    ("config", "engine", "field", "said"),
    [
        ({}, "", "model_config.model_type", "one of ctgan, tvae"),
        ({"model_type": "gpt"}, "", "model_config.model_type", "one of ctgan, tvae"),
        ({"model_type": 5}, "", "model_config.model_type", "one of ctgan, tvae"),
        ({"model_type": "tvae"}, "nobody", "engine", "one of sdv"),
        ({"model_type": "tvae", "learning_rate": 0.01}, "sdv", "model_config.learning_rate", "takes no learning rate"),
        ({"model_type": "gaussian_copula", "epochs": 5}, "", "model_config.epochs", "is no parameter"),
        (
            {"model_type": "copulagan", "default_distribution": "cauchy"},
            "",
            "model_config.default_distribution",
            "beta",
        ),
    ],
)
def test_wrong_choices(config: dict[str, object], engine: str, field: str, said: str) -> None:
    """A wrong choice is refused with the right ones."""
    assert said in faults(config, engine=engine)[field]


def test_one_fault_hides_no_other() -> None:
    """A wrong engine, wrong parameters and a batch that doesn't suit the table are told together."""
    config = {"model_type": "ctgan", "epochs": 5, "momentum": 1, "batch_size": 500, "pac": 7, "learning_rate": 0.1}
    wrong = faults(config | {"generator_lr": 0.1}, engine="nobody", rows=5000)
    assert set(wrong) == {
        "engine",
        "model_config.epochs",
        "model_config.momentum",
        "model_config.batch_size",
        "model_config.learning_rate",
    }
    assert "490 or 504" in wrong["model_config.batch_size"]
    assert set(faults({"model_type": "gpt"}, engine="nobody")) == {"model_config.model_type", "engine"}


def test_tvae_takes_the_learning_rate_it_has() -> None:
    """The learning rate that SDV's TVAE has anyway may be given."""
    assert check_model({"model_type": "tvae", "learning_rate": 0.001}, engine="sdv").parameters == TVAE_DEFAULTS


def test_a_search_has_no_other_learning_rate_for_tvae() -> None:
    """The limits of TVAE's learning rate are the one that it has, so that a search leaves it alone."""
    described = describe_model(check_model({"model_type": "tvae"})).parameters
    [rate] = [each for each in described if each.name == "learning_rate"]
    assert rate.minimum == rate.maximum == rate.default == 0.001


def test_learning_rate_sets_both() -> None:
    """`learning_rate` sets both of CTGAN's rates, and isn't mixed with either."""
    rates = {"generator_lr": 0.01, "discriminator_lr": 0.01}
    assert check_model({"model_type": "ctgan", "learning_rate": 0.01}).parameters == CTGAN_DEFAULTS | rates
    wrong = faults({"model_type": "ctgan", "learning_rate": 0.01, "generator_lr": 0.01})
    assert "not both" in wrong["model_config.learning_rate"]


def test_deployment_narrows_epochs() -> None:
    """The deployment's limits narrow the epochs, never widen them, and set the default."""
    limits = Limits(minimum_epochs=1, maximum_epochs=50, default_epochs=20)
    assert check_model({"model_type": "tvae"}, limits=limits).parameters["epochs"] == 20
    for epochs in (51, 5, 9000, -1, "20", 20.5, True):
        said = faults({"model_type": "tvae", "epochs": epochs}, limits=limits)["model_config.epochs"]
        assert said == "must be a whole number from 10 to 50", epochs
    assert check_model({"model_type": "tvae"}, limits=Limits(default_epochs=3)).parameters["epochs"] == 10


@pytest.mark.parametrize(
    ("given", "rows", "batch", "pac", "adjusted"),
    [
        ({}, 5000, 500, 10, 0),
        ({}, 333, 330, 10, 1),
        ({}, 500, 500, 10, 0),
        ({}, 15, 10, 10, 1),
        ({}, 7, 6, 6, 2),
        ({"batch_size": 128}, 5000, 128, 8, 1),
        ({"batch_size": 1000}, 333, 330, 10, 1),
        ({"pac": 7}, 5000, 490, 7, 1),
        ({"pac": 25}, 5000, 500, 25, 0),
        ({"batch_size": 60, "pac": 3}, 5000, 60, 3, 0),
    ],
)
def test_what_is_left_open_is_fitted(given: dict[str, object], rows: int, batch: int, pac: int, adjusted: int) -> None:
    """Batch size and `pac`, where they are left open, are made to fit the table and each other, and that is told."""
    checked = check_model({"model_type": "ctgan", **given}, rows=rows)
    assert (checked.parameters["batch_size"], checked.parameters["pac"]) == (batch, pac)
    assert len(checked.adjustments) == adjusted
    assert batch % 2 == batch % pac == 0


@pytest.mark.parametrize(
    ("given", "rows", "field", "said"),
    [
        ({"batch_size": 500, "pac": 7}, 5000, "batch_size", "490 or 504"),
        ({"batch_size": 500, "pac": 10}, 333, "batch_size", "at most 330"),
        ({"batch_size": 501}, 5000, "batch_size", "500 or 502"),
        ({"pac": 50}, 30, "pac", "30 would do"),
        ({"batch_size": 100, "pac": 50}, 30, "pac", "30 would do"),
    ],
)
def test_what_was_set_is_refused(given: dict[str, object], rows: int, field: str, said: str) -> None:
    """Values that the user set and that don't fit are refused with the nearest that do."""
    assert said in faults({"model_type": "ctgan", **given}, rows=rows)[f"model_config.{field}"]


def test_tvae_batch_is_fitted() -> None:
    """TVAE's batch is no larger than the table."""
    checked = check_model({"model_type": "tvae", "batch_size": 700}, rows=99)
    assert checked.parameters["batch_size"] == 99
    assert "99 rows" in checked.adjustments[0]


def test_descriptions() -> None:
    """Every parameter is described with type, default, range and meaning, under the deployment's limits."""
    types = {entry.name: entry for entry in describe_model_types(Limits(maximum_epochs=150))}
    assert list(types) == ["ctgan", "tvae", "gaussian_copula", "copulagan", "autoregressive"]
    ctgan = {parameter.name: parameter for parameter in types["ctgan"].parameters}
    assert (ctgan["epochs"].minimum, ctgan["epochs"].maximum, ctgan["epochs"].default) == (10, 150, 100)
    assert ctgan["generator_dim"].type == "integers"
    assert ctgan["log_frequency"].type == "boolean"
    assert ctgan["learning_rate"].type == "number"
    assert "gaussian_kde" in types["gaussian_copula"].parameters[0].choices
    for entry in types.values():
        having = {"autoregressive": ("mirage",), "gaussian_copula": ("sdv", "mirage")}
        assert entry.engines == having.get(entry.name, ("sdv",))
        assert all(parameter.description.endswith(".") for parameter in entry.parameters)
    assert [(advice.up_to_rows, advice.parameters) for advice in types["tvae"].recommendations] == [
        (999, {"epochs": 150, "batch_size": 100}),  # 200, where the deployment allows it
        (10_000, {"epochs": 150, "batch_size": 500}),
        (0, {"epochs": 100, "batch_size": 1000}),
    ]


@pytest.mark.parametrize(
    ("model_type", "engine"), [(name, engine) for engine in ENGINES for name in ENGINES[engine].model_types]
)
def test_estimates_grow(model_type: str, engine: str) -> None:
    """More rows, columns, categories or rows to draw never cost less."""
    model = check_model({"model_type": model_type}, engine=engine)
    base = TableShape(rows=5000, numbers=5, categories={"a": 10})
    least = estimate(model, base, 1000)
    assert least.seconds > 0
    assert least.memory_mb > 100
    for larger in (
        base.model_copy(update={"rows": 50_000}),
        base.model_copy(update={"numbers": 50}),
        base.model_copy(update={"categories": {"a": 10, "b": 400}}),
    ):
        more = estimate(model, larger, 1000)
        assert more.seconds > least.seconds
        assert more.memory_mb > least.memory_mb
    assert estimate(model, base, 100_000).seconds > least.seconds


def test_estimates_of_epochs_and_batches() -> None:
    """Twice the epochs cost about twice the training, and a larger batch more memory."""
    shape = TableShape(rows=20_000, numbers=5, categories={"a": 10})
    short, long, wide = (
        estimate(check_model({"model_type": "ctgan", **given}), shape, 1000)
        for given in ({"epochs": 100}, {"epochs": 200}, {"batch_size": 5000})
    )
    assert 1.8 < long.seconds / short.seconds < 2.0
    assert wide.memory_mb > short.memory_mb
