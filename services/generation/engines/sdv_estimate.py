"""What SDV's synthesizers take, by a simple model of where their time and memory goes.

The coefficients were measured on one thread of a server processor without AMX in use (2,000 to 20,000 rows, 6 to 41
columns, up to 800 categories, batches of 100 to 1,000); on the measured points the model is within a factor of two.

- A number is encoded by a mixture of up to ten modes, fitted row by row; the networks then see it as about nine inputs,
  and a category as one input for each of its values.
- A step costs a part that grows with the batch, and that the more the wider the encoded rows are.
- The encoded table is held about three times over while it is made.
"""

from collections.abc import Mapping

from services.generation.engines.estimate import Estimate, TableShape
from services.generation.engines.protocol import ModelSpec

MEBIBYTE = 1 << 20
INPUTS_PER_NUMBER = 9
LIBRARIES_MB = 500.0
FIXED_S = 1.0
# A step, whatever its size.
STEP_S = 5e-3
# CTGAN's default layers are 4 × 256 wide in all, TVAE's 4 × 128.
CTGAN_WIDTH, TVAE_WIDTH = 1024, 512
DEFAULT_PAC = 10
KDE_SLOWER = 5


def estimate(table: TableShape, spec: ModelSpec, rows: int) -> Estimate:
    """Seconds and memory of a fit and of drawing so many rows, on one thread."""
    columns = table.numbers + len(table.categories)
    width = INPUTS_PER_NUMBER * table.numbers + sum(table.categories.values())
    drawing_s = rows * (8e-6 + 2e-6 * columns + 5e-8 * width)
    read_mb = table.rows * columns * 150 / MEBIBYTE
    if spec.model_type == "gaussian_copula":
        slower = KDE_SLOWER if spec.parameters.get("default_distribution") == "gaussian_kde" else 1
        fitting_s = columns * (0.03 + 1e-5 * table.rows) * slower
        return Estimate(FIXED_S + fitting_s + drawing_s, LIBRARIES_MB + read_mb)
    epochs, batch = _number(spec.parameters, "epochs"), _number(spec.parameters, "batch_size")
    encoding_s = table.numbers * (0.05 + 8e-5 * table.rows) + table.rows * sum(table.categories.values()) * 1.5e-7
    encoded_mb = table.rows * width * 8 * 3 / MEBIBYTE
    step = _tvae_step if spec.model_type == "tvae" else _ctgan_step
    step_s, step_mb = step(table, width, batch, spec.parameters)
    training_s = epochs * max(1, table.rows // batch) * step_s
    seconds = FIXED_S + encoding_s + training_s + drawing_s
    return Estimate(seconds, LIBRARIES_MB + 40 + read_mb + encoded_mb + step_mb)


def _ctgan_step(table: TableShape, width: int, batch: int, parameters: Mapping[str, object]) -> tuple[float, float]:
    """Seconds and mebibytes of a step; the discriminator sees the row and the condition, `pac` rows at once."""
    seen = width + sum(table.categories.values())
    layers = _total(parameters, "generator_dim", CTGAN_WIDTH // 2) + _total(
        parameters, "discriminator_dim", CTGAN_WIDTH // 2
    )
    updates = (1 + 3 * _number(parameters, "discriminator_steps", 1)) / 4
    seconds = STEP_S + batch * (3e-5 + 3.2e-7 * seen) * layers / CTGAN_WIDTH * updates
    weights_mb = seen * _number(parameters, "pac", DEFAULT_PAC) * layers / 4 * 4 * 10 / MEBIBYTE
    return seconds, weights_mb + batch * width * 80 / MEBIBYTE


def _tvae_step(_table: TableShape, width: int, batch: int, parameters: Mapping[str, object]) -> tuple[float, float]:
    """Seconds and mebibytes of a step."""
    layers = _total(parameters, "compress_dims", TVAE_WIDTH // 2) + _total(
        parameters, "decompress_dims", TVAE_WIDTH // 2
    )
    seconds = STEP_S + batch * (1e-5 + 2e-8 * width) * layers / TVAE_WIDTH
    return seconds, (width * layers / 4 * 4 * 10 + batch * width * 40) / MEBIBYTE


def _number(parameters: Mapping[str, object], name: str, default: int = 1) -> int:
    value = parameters.get(name, default)
    return value if isinstance(value, int) else default


def _total(parameters: Mapping[str, object], name: str, default: int) -> int:
    value = parameters.get(name)
    return sum(value) if isinstance(value, list) else default
