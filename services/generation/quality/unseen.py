"""Whether rows that are to stand for those never seen are really none of those trained on.

Everything about privacy is measured against them: if they were trained on as well, copies would look like what real
rows are like anyway, and nothing would ever be found.
"""

import numpy as np

from services.generation.quality.privacy.copies import row_keys
from services.generation.quality.tables import Table

# An excess over what chance makes that is passed over, as a share of rows.
_PASSED_OVER = 0.02
_DEVIATIONS = 4


def share_seen(training: Table, holdout: Table) -> float:
    """The share of holdout rows that equal a training row which is the only one of its kind, where that is too much.

    0 where so many are what other rows of the same population would have. Of those 2 · N₂ / n equal one that was seen
    once, where N₂ kinds of row were seen twice among n (Good 1953, "The population frequencies of species and the
    estimation of population parameters", Biometrika 40(3/4), section 2).
    """
    if not len(training) or not len(holdout):
        return 0.0
    known, unseen = row_keys([training, holdout])
    seen = np.bincount(known, minlength=1 + max(int(known.max()), int(unseen.max())))
    share = float((seen[unseen] == 1).mean())
    expected = min(1.0, 2 * int(np.count_nonzero(seen == 2)) / len(training))
    rows = len(holdout)
    spread = float(np.sqrt((expected * (1 - expected) + 1 / rows) / rows))
    return share if share > expected + _PASSED_OVER + _DEVIATIONS * spread else 0.0
