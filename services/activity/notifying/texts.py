"""Notifications in words. Pure."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from servicekit.event_kinds import EventKind
from services.activity.notifying.kinds import Happened

_LONGEST_NAME = 80  # characters


class Text(NamedTuple):
    """A notification in words."""

    title: str
    body: str


def text_of(happened: Happened) -> Text:
    """What somebody is told of an event; it must be one of those in `RULES`."""
    return _TEXTS[happened.kind](happened)


def _name(happened: Happened, what: str) -> str:
    """What the object is called, where that was told; otherwise what it is."""
    given = happened.personal.get("name") or happened.attributes.get("name")
    if not isinstance(given, str) or not given.strip():
        return f"Your {what}"
    shown = given if len(given) <= _LONGEST_NAME else f"{given[: _LONGEST_NAME - 1]}…"
    return f"Your {what} “{shown}”"


def _count(happened: Happened, name: str) -> str:
    value = happened.attributes.get(name)
    return f"{value:,.0f}" if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _reason(happened: Happened, otherwise: str) -> str:
    """Why, as a sentence."""
    for told in (happened.personal.get("message"), happened.attributes.get("reason")):
        if isinstance(told, str) and told.strip() and not told.isupper():  # which would be an error's code
            return told.strip() if told.strip()[-1] in ".!?" else f"{told.strip()}."
    return otherwise


def _where(happened: Happened) -> str:
    """Where from and with what, with a space before it; empty where nothing was told."""
    address, agent = (happened.personal.get(name) for name in ("address", "user_agent"))
    return (f" from {address}" if address else "") + (f" with {agent}" if agent else "")


def _job_succeeded(happened: Happened) -> Text:
    rows, score = _count(happened, "rows"), happened.attributes.get("quality_score")
    made = f" made {rows} rows" if rows else " is done"
    quality = f"; its quality score is {score:.2f}" if isinstance(score, float) else ""
    return Text("A job is done", f"{_name(happened, 'job')}{made}{quality}.")


def _job_failed(happened: Happened) -> Text:
    return Text("A job failed", f"{_name(happened, 'job')} failed. {_reason(happened, 'Its record tells why.')}")


def _job_cancelled(happened: Happened) -> Text:
    return Text("A job was cancelled", f"{_name(happened, 'job')} was cancelled, and not by you.")


def _study_succeeded(happened: Happened) -> Text:
    trials, score = _count(happened, "trials"), happened.attributes.get("best_score")
    after = f" after {trials} trials" if trials else ""
    best = f"; the best score is {score:.3f}" if isinstance(score, float) else ""
    return Text("A search is done", f"{_name(happened, 'search')} is done{after}{best}.")


def _study_failed(happened: Happened) -> Text:
    return Text("A search failed", f"{_name(happened, 'search')} failed. {_reason(happened, 'Its record tells why.')}")


def _study_stopped(happened: Happened) -> Text:
    told = f"{_name(happened, 'search')} was stopped, and not by you; the best so far stays."
    return Text("A search was stopped", told)


def _approval_asked(happened: Happened) -> Text:
    rows = _count(happened, "sample_size")
    return Text(
        "A job waits for approval",
        f"Somebody asks for {f'{rows} rows' if rows else 'a table'} made from a dataset.",
    )


def _approved(happened: Happened) -> Text:
    return Text("Your job was approved", f"{_name(happened, 'job')} was approved and waits for its turn.")


def _rejected(happened: Happened) -> Text:
    why = _reason(happened, "No reason was given.")
    return Text("Your job was rejected", f"{_name(happened, 'job')} was rejected. {why}")


def _new_device(happened: Happened) -> Text:
    told = f"Somebody signed in to your account{_where(happened)}."
    return Text("A sign-in from a new device", f"{told} If that wasn't you, end the session and change your password.")


def _sign_ins_failed(happened: Happened) -> Text:
    told = f"Somebody tried many wrong passwords for your account, the last{_where(happened) or ' just now'}."
    return Text("Many wrong passwords", f"{told} Further tries are slowed down.")


def _token_reused(_happened: Happened) -> Text:
    return Text(
        "A session was ended for safety",
        "A refresh token of yours was used twice, as happens when it was stolen. "
        "Everything that was signed in with it was signed out.",
    )


def _personal_data_found(happened: Happened) -> Text:
    columns = happened.attributes.get("columns")
    count = columns if isinstance(columns, int | float) else len(columns) if isinstance(columns, list) else 0
    look = "1 column of it looks" if count == 1 else f"{f'{count:.0f} columns' if count else 'Columns'} of it look"
    return Text(
        "Personal data found",
        f"{_name(happened, 'dataset')} was read in. {look} like personal data: such columns are never learnt, and are "
        "filled with invented values.",
    )


def _account_updated(_happened: Happened) -> Text:
    return Text("Your address was changed", "You sign in with the new e-mail address from now on.")


def _password_changed(_happened: Happened) -> Text:
    told = "All other sessions were ended. If that wasn't you, ask an administrator at once."
    return Text("Your password was changed", told)


def _role_changed(happened: Happened) -> Text:
    role = "an administrator" if happened.attributes.get("role") == "administrator" else "a user"
    return Text("Your role was changed", f"You are {role} now.")


def _activated(_happened: Happened) -> Text:
    return Text("Your account was switched on", "You can sign in again.")


def _deactivated(_happened: Happened) -> Text:
    return Text("Your account was switched off", "An administrator switched it off; nobody can sign in to it.")


def _api_key_created(happened: Happened) -> Text:
    told = f"{_name(happened, 'API key')} was made. Whoever has it can act for you within its scopes."
    return Text("An API key was made", told)


def _delivery_dropped(happened: Happened) -> Text:
    if happened.attributes.get("channel") == "email":
        told = "Your address could not be reached, so you get no notifications by e-mail any more."
        return Text("E-mail is switched off", told)
    told = "A browser of yours can't be reached any more and was forgotten. Register it again if you still use it."
    return Text("A browser was dropped", told)


_TEXTS: Mapping[str, Callable[[Happened], Text]] = {
    EventKind.JOB_SUCCEEDED: _job_succeeded,
    EventKind.JOB_FAILED: _job_failed,
    EventKind.JOB_CANCELLED: _job_cancelled,
    EventKind.STUDY_SUCCEEDED: _study_succeeded,
    EventKind.STUDY_FAILED: _study_failed,
    EventKind.STUDY_STOPPED: _study_stopped,
    EventKind.JOB_APPROVAL_REQUESTED: _approval_asked,
    EventKind.JOB_APPROVED: _approved,
    EventKind.JOB_REJECTED: _rejected,
    EventKind.SESSION_STARTED: _new_device,
    EventKind.SIGN_IN_FAILED: _sign_ins_failed,
    EventKind.REFRESH_TOKEN_REUSED: _token_reused,
    EventKind.DATASET_PERSONAL_DATA_FOUND: _personal_data_found,
    EventKind.ACCOUNT_UPDATED: _account_updated,
    EventKind.ACCOUNT_PASSWORD_CHANGED: _password_changed,
    EventKind.ACCOUNT_ROLE_CHANGED: _role_changed,
    EventKind.ACCOUNT_ACTIVATED: _activated,
    EventKind.ACCOUNT_DEACTIVATED: _deactivated,
    EventKind.API_KEY_CREATED: _api_key_created,
    EventKind.NOTIFICATION_DELIVERY_DROPPED: _delivery_dropped,
}
