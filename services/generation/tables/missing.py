"""How often a value is missing: learned with everything else, and corrected to the source's rate."""

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict


class Missing(BaseModel):
    """A column's missing values.

    `name` is the learned column that says so, `rate` their share in the source. A model that was trained briefly may
    have the rate wrong, though it knows which rows are the likely ones; so of the rows that it says are missing the
    share `keep` stays so, and of the others the share `add` becomes so, drawn by chance.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    rate: float
    keep: float = 1.0
    add: float = 0.0

    def calibrated(self, rate: float) -> "Missing":
        """With the correction of a model that has this rate."""
        keep = 1.0 if rate <= self.rate else self.rate / rate
        add = 0.0 if rate >= self.rate else (self.rate - rate) / (1.0 - rate)
        return self.model_copy(update={"keep": keep, "add": add})

    def corrected(self, said: npt.NDArray[np.bool_], draws: np.random.Generator) -> npt.NDArray[np.bool_]:
        """Which rows are missing, from those that the model says."""
        return draws.random(len(said)) < np.where(said, self.keep, self.add)
