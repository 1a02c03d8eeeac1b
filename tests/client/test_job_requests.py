"""From what a caller asks for to the message that asks for it."""

from datetime import date

import numpy as np
import pytest

from mirage.errors import InvalidRequest
from mirage.job_requests import start_request, to_struct
from mirage.records.base import from_struct


def test_everything_reaches_the_message() -> None:
    """Every argument is in the request, and whole numbers come back whole."""
    request = start_request(
        "dataset",
        "tvae",
        500,
        seed=7,
        columns=["a"],
        holdout_fraction=0.2,
        conditions={"day": date(2013, 1, 1), "count": np.int64(3)},
        parameters={"epochs": 5, "compress_dims": (64, 64), "l2scale": np.float32(0.5), "log_frequency": True},
    )
    assert (request.dataset_id, request.sample_size, request.seed, list(request.columns)) == ("dataset", 500, 7, ["a"])
    assert from_struct(request.conditions) == {"day": "2013-01-01", "count": 3}
    assert from_struct(request.model_config) == {
        "model_type": "tvae",
        "epochs": 5,
        "compress_dims": [64, 64],
        "l2scale": 0.5,
        "log_frequency": True,
    }


def test_what_isn_t_given_is_left_to_the_platform() -> None:
    """Absent values are absent in the message, so that the platform's defaults hold."""
    request = start_request("dataset")
    for field in ("sample_size", "seed", "holdout_fraction", "optimization_config", "conditions", "privacy"):
        assert not request.HasField(field)


@pytest.mark.parametrize(
    ("arguments", "field"), [({"seed": -1}, "seed"), ({"seed": 2**32}, "seed"), ({"rows": 2**40}, "sample_size")]
)
def test_numbers_that_don_t_fit(arguments: dict[str, int], field: str) -> None:
    """A number that the message can't hold is told like any other wrong field."""
    with pytest.raises(InvalidRequest) as caught:
        start_request("dataset", **arguments)  # type: ignore[arg-type]
    assert [violation.field for violation in caught.value.violations] == [field]


def test_arrays_are_lists() -> None:
    """NumPy's arrays and scalars become what JSON has."""
    assert from_struct(to_struct({"dims": np.array([1, 2]), "flag": np.bool_(True)})) == {"dims": [1, 2], "flag": True}
    with pytest.raises(TypeError):
        to_struct({"what": object()})
