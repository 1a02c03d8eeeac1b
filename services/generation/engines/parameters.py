"""The parameters of each kind of model: types, ranges, defaults and what they mean. Imports neither torch nor SDV."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from servicekit.wording import whole_number

LayerSizes = Annotated[list[Annotated[int, Field(ge=1, le=4096)]], Field(min_length=1, max_length=8)]
LearningRate = Annotated[float, Field(ge=1e-7, le=1.0)]

# GANs and VAEs under ten epochs have learned nothing yet; beyond five hundred they mostly memorise.
GAN_EPOCHS = (10, 500)


@dataclass(frozen=True)
class Limits:
    """The deployment's own limits on epochs. They narrow what a model type allows and never widen it."""

    minimum_epochs: int = 1
    maximum_epochs: int = 500
    default_epochs: int = 100


@dataclass(frozen=True)
class Adjustment:
    """A parameter that was left to us and got a value that suits the table, with the reason in a sentence."""

    parameter: str
    value: int
    reason: str


class Unsuitable(Exception):
    """A value that the user set doesn't suit the table; the message names the nearest that do."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class Parameters(BaseModel):
    """The parameters of a kind of model; every subclass is one kind's table.

    Validation is strict: `"10"` is not a number, `True` is not 1. Give a `Limits` as the validation context to narrow
    the epochs. `description` tells in a sentence what kind of model it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    description: ClassVar[str]

    @field_validator("epochs", check_fields=False)
    @classmethod
    def _within_deployment_limits(cls, epochs: int, info: ValidationInfo) -> int:
        limits = info.context if isinstance(info.context, Limits) else Limits()
        low, high = cls.epoch_range(limits)
        if not low <= epochs <= high:
            raise ValueError(whole_number(low, high))
        return epochs

    @classmethod
    def epoch_range(cls, limits: Limits) -> tuple[int, int]:
        """The smallest and the largest number of epochs under the deployment's limits."""
        low, high = GAN_EPOCHS
        return max(low, limits.minimum_epochs), min(high, limits.maximum_epochs)

    @classmethod
    def default_epochs(cls, limits: Limits) -> int:
        """The epochs in force if none are given."""
        low, high = cls.epoch_range(limits)
        return min(max(limits.default_epochs, low), high)

    def contradictions(self) -> Sequence[Unsuitable]:
        """Values that are right by themselves and can't stand together."""
        return ()

    def adjustments(self, rows: int) -> Sequence[Adjustment]:
        """What to change of the values left to us, for a table of so many training rows.

        Raises Unsuitable for a value that the user set and that can't be used.
        """
        del rows
        return ()

    def in_force(self) -> dict[str, object]:
        """The values to fit with, every one of them."""
        return self.model_dump()


class _Ctgan(Parameters):
    """What CTGAN and the models built on it have in common."""

    epochs: int = Field(100, ge=GAN_EPOCHS[0], le=GAN_EPOCHS[1], description="Passes over the table.")
    batch_size: int = Field(
        500, ge=2, le=100_000, description="Rows in a step; even, and a multiple of `pac`; no more than the table has."
    )
    generator_dim: LayerSizes = Field([256, 256], description="Width of each residual layer of the generator.")
    discriminator_dim: LayerSizes = Field([256, 256], description="Width of each layer of the discriminator.")
    generator_lr: LearningRate = Field(2e-4, description="Learning rate of the generator.")
    discriminator_lr: LearningRate = Field(2e-4, description="Learning rate of the discriminator.")
    learning_rate: LearningRate | None = Field(None, description="Sets both learning rates at once.")
    discriminator_steps: int = Field(
        1, ge=1, le=100, description="Updates of the discriminator for each update of the generator."
    )
    log_frequency: bool = Field(
        True, description="Whether categories are drawn by the logarithm of their frequency, which favours rare ones."
    )
    pac: int = Field(
        10, ge=1, le=100, description="Rows that the discriminator judges together; against mode collapse."
    )

    def contradictions(self) -> Sequence[Unsuitable]:
        """A rate is set in one way only."""
        both = {"generator_lr", "discriminator_lr"} & self.model_fields_set
        if self.learning_rate is None or not both:
            return ()
        return (Unsuitable("learning_rate", f"Set either learning_rate or {' and '.join(sorted(both))}, not both"),)

    def in_force(self) -> dict[str, object]:
        """The values to fit with; `learning_rate` has become the two rates."""
        values = self.model_dump(exclude={"learning_rate"})
        if self.learning_rate is not None:
            values |= {"generator_lr": self.learning_rate, "discriminator_lr": self.learning_rate}
        return values

    def adjustments(self, rows: int) -> Sequence[Adjustment]:
        """Fits batch size and `pac` to the table and to each other: the batch is a multiple of 2 and of `pac`."""
        batch_given, pac_given = "batch_size" in self.model_fields_set, "pac" in self.model_fields_set
        if batch_given and pac_given:
            self._refuse_unsuitable(rows)
            return ()
        if batch_given:
            return self._with_batch_given(rows)
        return self._with_batch_free(rows, pac_given=pac_given)

    def _refuse_unsuitable(self, rows: int) -> None:
        unit = lcm(2, self.pac)
        if unit > rows:
            raise _pac_too_large(self.pac, rows)
        if self.batch_size > rows:
            message = (
                f"The table has {rows} rows to train on; at most {rows // unit * unit} would do with pac {self.pac}"
            )
            raise Unsuitable("batch_size", message)
        if self.batch_size % unit:
            near = _nearest_multiples(self.batch_size, unit, rows)
            raise Unsuitable("batch_size", f"It must be even and a multiple of pac ({self.pac}); {near} would do")

    def _with_batch_given(self, rows: int) -> Sequence[Adjustment]:
        batch, made = self.batch_size, []
        if batch > rows:
            batch = _largest_batch(rows, self.pac)
            made.append(Adjustment("batch_size", batch, f"the table has {rows} rows to train on"))
        elif batch % 2:
            raise Unsuitable("batch_size", f"It must be even; {_nearest_multiples(batch, 2, rows)} would do")
        if batch % self.pac:
            pac = max(size for size in range(1, self.pac + 1) if batch % size == 0)
            made.append(Adjustment("pac", pac, f"{self.pac} doesn't divide a batch of {batch} rows"))
        return made

    def _with_batch_free(self, rows: int, *, pac_given: bool) -> Sequence[Adjustment]:
        if pac_given and lcm(2, self.pac) > rows:
            raise _pac_too_large(self.pac, rows)
        unit = lcm(2, self.pac)
        batch = _largest_batch(min(rows, self.batch_size), self.pac)
        made = []
        if batch != self.batch_size:
            small = batch < self.batch_size and rows < self.batch_size
            reason = f"the table has {rows} rows to train on" if small else f"it must be a multiple of {unit}, for pac"
            made.append(Adjustment("batch_size", batch, reason))
        if batch % self.pac:
            pac = max(size for size in range(1, self.pac + 1) if batch % size == 0)
            made.append(Adjustment("pac", pac, f"{self.pac} doesn't divide a batch of {batch} rows"))
        return made


def _largest_batch(rows: int, pac: int) -> int:
    """The largest even multiple of `pac` within the rows; where there is none, the largest even number."""
    unit = lcm(2, pac)
    return rows // unit * unit or max(rows // 2 * 2, 2)


def _nearest_multiples(value: int, unit: int, highest: int) -> str:
    """The multiples of `unit` next to the value, in words."""
    below, above = value // unit * unit, -(-value // unit) * unit
    near = [number for number in (below, above) if 0 < number <= highest]
    return " or ".join(map(str, near))


def _pac_too_large(pac: int, rows: int) -> Unsuitable:
    largest = max(size for size in range(1, pac + 1) if size == 1 or lcm(2, size) <= rows)
    return Unsuitable("pac", f"The table has {rows} rows to train on, too few for a batch of {pac}; {largest} would do")


class CtganParameters(_Ctgan):
    """Parameters of CTGAN (Xu et al., Modeling Tabular Data using Conditional GAN, 2019)."""

    description = "Conditional GAN: good at mixed columns and rare categories; the slowest to train."


Distribution = Literal["norm", "beta", "truncnorm", "uniform", "gamma", "gaussian_kde"]


class CopulaGanParameters(_Ctgan):
    """Parameters of CopulaGAN: CTGAN over numbers that were first made normal, each by its own distribution."""

    description = "CTGAN over numbers made normal first: good where numbers are far from normal."

    default_distribution: Distribution = Field(
        "beta", description="The distribution that numbers are taken to have; `gaussian_kde` fits any, slowly."
    )


class TvaeParameters(Parameters):
    """Parameters of TVAE (Xu et al., Modeling Tabular Data using Conditional GAN, 2019, section 4.4)."""

    description = "Variational autoencoder: several times faster than CTGAN, steadier, weaker at rare categories."

    epochs: int = Field(100, ge=GAN_EPOCHS[0], le=GAN_EPOCHS[1], description="Passes over the table.")
    batch_size: int = Field(500, ge=2, le=100_000, description="Rows in a step; no more than the table has.")
    embedding_dim: int = Field(128, ge=1, le=4096, description="Numbers that a row is squeezed into.")
    compress_dims: LayerSizes = Field([128, 128], description="Width of each layer of the encoder.")
    decompress_dims: LayerSizes = Field([128, 128], description="Width of each layer of the decoder.")
    l2scale: float = Field(1e-5, ge=0.0, le=1.0, description="Weight decay; larger is smoother.")
    learning_rate: LearningRate = Field(1e-3, description="Learning rate of encoder and decoder.")
    loss_factor: float = Field(
        2.0, ge=0.01, le=1000.0, description="Weight of the reconstruction error against the latent distribution's."
    )

    def adjustments(self, rows: int) -> Sequence[Adjustment]:
        """A batch is no larger than the table."""
        if self.batch_size <= rows:
            return ()
        return (Adjustment("batch_size", max(rows, 2), f"the table has {rows} rows to train on"),)


class AutoregressiveParameters(Parameters):
    """Parameters of Mirage's own autoregressive model."""

    description = (
        "Autoregressive network over any order of columns: close to the source in little time; stops by itself when "
        "held-out rows get no likelier; draws under any conditions without trying."
    )

    epochs: int = Field(100, ge=1, le=500, description="Passes over the table at the most; training stops by itself.")
    patience: int = Field(5, ge=1, le=500, description="Epochs without getting better after which training stops.")
    width: int = Field(256, ge=1, le=4096, description="Width of each column's first layer.")
    inner_width: int = Field(128, ge=1, le=4096, description="Width of each column's second layer.")
    dropout: float = Field(
        0.2, ge=0.0, le=0.9, description="Share of a layer left out at each step; against memorising."
    )
    weight_decay: float = Field(1.0, ge=0.0, le=10.0, description="Weight decay; larger is smoother.")
    learning_rate: LearningRate = Field(2e-3, description="Learning rate.")

    @classmethod
    def epoch_range(cls, limits: Limits) -> tuple[int, int]:
        """One epoch may be enough for a large table."""
        return max(1, limits.minimum_epochs), min(500, limits.maximum_epochs)


class GaussianCopulaParameters(Parameters):
    """Parameters of a Gaussian copula (Patki et al., The Synthetic Data Vault, 2016)."""

    description = (
        "Gaussian copula: fitted in seconds, without epochs; learns each column and how columns move together."
    )

    default_distribution: Distribution = Field(
        "beta", description="The distribution that numbers are taken to have; `gaussian_kde` fits any, slowly."
    )


class EmpiricalCopulaParameters(Parameters):
    """Parameters of Mirage's own Gaussian copula, which takes every column as it is distributed."""

    description = (
        "Gaussian copula over the columns' own distributions: fitted in seconds, without epochs; draws under any "
        "conditions without trying."
    )

    ordering_rows: int = Field(
        20_000, ge=0, le=10_000_000, description="Rows that the order of categories is found on; 0 goes by frequency."
    )
    least_eigenvalue: float = Field(
        1e-4, ge=1e-9, le=0.5, description="How far from one another's function columns are; larger is smoother."
    )
