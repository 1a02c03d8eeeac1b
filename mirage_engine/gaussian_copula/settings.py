"""What can be set about the Gaussian copula."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GaussianCopulaSettings:
    """The defaults suit any table.

    `ordering_rows` is how many rows, drawn at random, the order of a category's levels is found on, or more where it
    has many levels; with 0 they are ordered by frequency. `least_eigenvalue` is what the correlations' eigenvalues are
    raised to, so that no column is wholly a function of the others.
    """

    ordering_rows: int = 20_000
    least_eigenvalue: float = 1e-4

    def __post_init__(self) -> None:
        """Raises ValueError naming every setting that is out of its range."""
        wrong = []
        if not 0 <= self.ordering_rows <= 10_000_000:
            wrong.append(f"ordering_rows = {self.ordering_rows} (right is: 0 to 10000000)")
        if not 1e-9 <= self.least_eigenvalue <= 0.5:
            wrong.append(f"least_eigenvalue = {self.least_eigenvalue} (right is: 1e-9 to 0.5)")
        if wrong:
            raise ValueError("; ".join(wrong))
