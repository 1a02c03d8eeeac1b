"""Texts as the scan compares them."""

import unicodedata


def words(text: str) -> tuple[str, ...]:
    """The words of a list."""
    return tuple(text.split())


def folded(text: str) -> str:
    """Lower case, without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))
