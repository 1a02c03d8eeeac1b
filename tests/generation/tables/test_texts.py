"""Free text is made of common words and never copied."""

import numpy as np
import pyarrow as pa

from services.generation.tables.texts import Text

WORDS = ["good", "bad", "service", "staff", "room"]


def reviews() -> list[str]:
    """Texts of common words, each with a name that no other has."""
    draws = np.random.default_rng(0)
    return [" ".join([*draws.choice(WORDS, 1 + row % 6), f"Surname{row}"]) for row in range(200)]


def test_rare_words_never_come_out() -> None:
    """A word in fewer than five rows is in no text and not in what is stored."""
    text = Text.of(pa.array(reviews()), b"salt")
    made = text.values(1000, np.random.default_rng(1))
    assert {word for value in made for word in value.split()} <= set(WORDS)
    assert "Surname" not in text.model_dump_json()


def test_lengths_are_the_sources() -> None:
    """Texts have as many words as the source's, in the same proportions."""
    source = reviews()
    made = Text.of(pa.array(source), b"salt").values(3000, np.random.default_rng(1))
    lengths, own = ([len(value.split()) for value in values] for values in (made, source))
    assert abs(np.mean(lengths) - np.mean(own)) < 0.5
    assert max(lengths) <= max(own) + 2


def test_no_text_is_copied() -> None:
    """Even where every word is common, no text of the source comes out."""
    source = ["good", "bad", "good staff", "bad room", "good room"] * 20
    made = Text.of(pa.array(source), b"salt").values(500, np.random.default_rng(1))
    assert not set(made) & set(source)


def test_no_common_word() -> None:
    """Where no word is common, texts are made of filler."""
    source = [f"unique{row} words{row}" for row in range(50)]
    made = Text.of(pa.array(source), b"salt").values(50, np.random.default_rng(1))
    assert all(len(value.split()) >= 2 for value in made)
    assert not {word for value in made for word in value.split()} & {word for value in source for word in value.split()}


def test_empty_texts_stay_empty() -> None:
    """Texts without a word come back without one, as often as in the source."""
    made = Text.of(pa.array(["", "  "] * 30 + ["good staff"] * 60), b"salt").values(600, np.random.default_rng(1))
    assert 0.4 < made.count("") / 600 < 0.6
