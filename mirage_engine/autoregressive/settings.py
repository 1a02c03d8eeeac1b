"""What can be set about the autoregressive model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AutoregressiveSettings:
    """Size, regularisation and length of training; the defaults suit tables from hundreds to millions of rows.

    `width` and `inner_width` are the sizes of the two hidden layers that each digit has. `held_out_share` of the rows
    are held out: training stops when they have not become likelier for `patience` epochs, after `epochs` at the latest.
    A `batch_rows` of None goes by the number of rows. `home_order_share` of the rows in training are seen in the
    table's own column order, the one that rows are drawn in unless conditions ask for another; the rest each in an
    order drawn at random. `averaging` is how much of the running average of the weights each step keeps.
    """

    width: int = 256
    inner_width: int = 128
    dropout: float = 0.2
    weight_decay: float = 1.0
    learning_rate: float = 2e-3
    batch_rows: int | None = None
    epochs: int = 100
    patience: int = 5
    held_out_share: float = 0.1
    averaging: float = 0.99
    home_order_share: float = 0.5

    def __post_init__(self) -> None:
        """Raises ValueError naming every setting that is out of its range."""
        wrong = [
            f"{name} = {getattr(self, name)} (right is: {right})"
            for name, right, fits in (
                ("width", "1 to 4096", 1 <= self.width <= 4096),
                ("inner_width", "1 to 4096", 1 <= self.inner_width <= 4096),
                ("dropout", "0 to 0.9", 0 <= self.dropout <= 0.9),
                ("weight_decay", "0 to 10", 0 <= self.weight_decay <= 10),
                ("learning_rate", "above 0, to 1", 0 < self.learning_rate <= 1),
                ("batch_rows", "1 to 65536", self.batch_rows is None or 1 <= self.batch_rows <= 65_536),
                ("epochs", "1 to 10000", 1 <= self.epochs <= 10_000),
                ("patience", "1 to 10000", 1 <= self.patience <= 10_000),
                ("held_out_share", "0 to 0.5", 0 <= self.held_out_share <= 0.5),
                ("averaging", "0 to 0.99999", 0 <= self.averaging <= 0.99999),
                ("home_order_share", "0 to 1", 0 <= self.home_order_share <= 1),
            )
            if not fits
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
