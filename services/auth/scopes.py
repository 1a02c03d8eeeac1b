"""What a token can be limited to: the scopes that the contracts name, and what each lets its holder do."""

from collections.abc import Collection

from services.auth.errors import ScopeNotHeld

SCOPES = {
    "account:read": "read the account and its profile",
    "account:write": "change the account and its profile",
    "admin:read": "read everybody's accounts and jobs; for administrators",
    "admin:write": "change everybody's accounts, approve and reject jobs; for administrators",
    "credentials:read": "list sessions and API keys",
    "credentials:write": "make and delete API keys, end sessions, change the password",
    "datasets:read": "read datasets and their rows",
    "datasets:write": "upload, change and delete datasets",
    "generation:read": "read jobs, models, synthetic tables and studies, check requests",
    "generation:write": "start and cancel jobs and studies, sample and delete models",
}
# As much of what nobody knows is repeated.
_SHOWN = 5
_SHOWN_CHARACTERS = 50


def scope_text(scopes: Collection[str]) -> str:
    """The scopes as one text, in order: how tokens and answers hold them (RFC 6749, section 3.3)."""
    return " ".join(sorted(scopes))


def scopes_in(text: str) -> frozenset[str]:
    """The scopes that a text names.

    Raises:
        ValueError: there is none, or one that doesn't exist.
    """
    scopes = frozenset(text.split(" ")) - {""}
    return known_scopes(scopes)


def known_scopes(scopes: frozenset[str]) -> frozenset[str]:
    """The same scopes.

    Raises:
        ValueError: there is none, or one that doesn't exist.
    """
    if not scopes:
        raise ValueError(f"must be one or more of {', '.join(SCOPES)}")
    if unknown := sorted(scopes - SCOPES.keys()):
        shown = ", ".join(repr(scope[:_SHOWN_CHARACTERS]) for scope in unknown[:_SHOWN])
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        are = "is" if len(unknown) == 1 else "are"
        raise ValueError(f"must be one or more of {', '.join(SCOPES)}; {shown}{more} {are} not among them")
    return scopes


def narrowed(held: Collection[str] | None, wanted: Collection[str] | None) -> Collection[str] | None:
    """The scopes that are wanted, or those that are held where none are; None is no limit.

    Raises:
        ScopeNotHeld: what is wanted goes beyond what is held.
    """
    if wanted is None:
        return held
    if held is not None and (beyond := set(wanted) - set(held)):
        raise ScopeNotHeld(beyond, held)
    return wanted
