"""Free text: made of words that many rows share, as long as the source's, never a text of the source."""

from collections import Counter
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from services.generation.tables.seen import SeenValues

# A word in fewer rows than this may be a name; it is never used.
LEAST_ROWS = 5
MOST_WORDS = 20_000
# For columns where no word is common.
FILLER = ("lorem", "ipsum", "dolor", "sit", "amet", "elit", "sed", "eiusmod", "tempor", "magna", "aliqua")
ATTEMPTS = 20


class Text(BaseModel):
    """A column of free text: its common words with how many rows have each, and how many words its texts have."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["text"] = "text"
    words: tuple[str, ...]
    weights: tuple[int, ...]
    lengths: tuple[int, ...]
    length_counts: tuple[int, ...]
    seen: SeenValues

    @classmethod
    def of(cls, array: pa.Array, salt: bytes) -> "Text":
        """Learns an array of strings without missing values."""
        rows: Counter[str] = Counter()
        lengths: Counter[int] = Counter()
        texts: list[str] = array.to_pylist()
        for text in texts:
            words = text.split()
            lengths[len(words)] += 1
            rows.update(set(words))
        common = [(word, count) for word, count in rows.most_common(MOST_WORDS) if count >= LEAST_ROWS]
        common = common or [(word, 1) for word in FILLER]
        usable = {word for word, _ in common}
        # Only texts made of nothing but common words could come out again.
        reachable = (" ".join(words) for words in (text.split() for text in texts) if usable.issuperset(words))
        return cls(
            words=tuple(word for word, _ in common),
            weights=tuple(count for _, count in common),
            lengths=tuple(sorted(lengths)),
            length_counts=tuple(lengths[length] for length in sorted(lengths)),
            seen=SeenValues.of(reachable, salt),
        )

    def values(self, count: int, draws: np.random.Generator) -> list[str]:
        """New texts; one without words stays empty."""
        chances = np.array(self.length_counts, dtype=np.float64)
        lengths = draws.choice(self.lengths, size=count, p=chances / chances.sum())
        weights = np.array(self.weights, dtype=np.float64)
        edges = np.cumsum(weights / weights.sum())
        return [self._text(int(length), edges, draws) if length else "" for length in lengths]

    def _text(self, length: int, edges: npt.NDArray[np.float64], draws: np.random.Generator) -> str:
        """A text of so many words; a few more where every attempt gave one of the source's."""
        for attempt in range(ATTEMPTS):
            text = self._words(length, edges, draws)
            if text not in self.seen:
                return text
            if attempt >= ATTEMPTS // 2:
                length += 1
        while text in self.seen:
            text += " " + self._words(1, edges, draws)
        return text

    def _words(self, count: int, edges: npt.NDArray[np.float64], draws: np.random.Generator) -> str:
        places = np.minimum(np.searchsorted(edges, draws.random(count), side="right"), len(self.words) - 1)
        return " ".join(self.words[place] for place in places)
