"""What users can be told of, and by which events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from servicekit.event_kinds import EventKind


class NotificationKind(StrEnum):
    """What somebody is told of; each can be switched off."""

    JOB_ENDED = "job_ended"
    STUDY_ENDED = "study_ended"
    APPROVAL_ASKED = "approval_asked"
    APPROVAL_ANSWERED = "approval_answered"
    NEW_DEVICE = "new_device"
    SUSPICIOUS_SIGN_IN = "suspicious_sign_in"
    PERSONAL_DATA_FOUND = "personal_data_found"
    ACCOUNT_CHANGED = "account_changed"
    DELIVERY_DROPPED = "delivery_dropped"


@dataclass(frozen=True)
class Preference:
    """How somebody is told of one kind."""

    enabled: bool = True
    push: bool = True
    email: bool = False


DESCRIPTIONS: Mapping[NotificationKind, str] = {
    NotificationKind.JOB_ENDED: "A job has ended, unless you cancelled it yourself.",
    NotificationKind.STUDY_ENDED: "A search for parameters has ended, unless you stopped it yourself.",
    NotificationKind.APPROVAL_ASKED: "Somebody's job waits for an administrator's approval.",
    NotificationKind.APPROVAL_ANSWERED: "An administrator has approved or rejected your job.",
    NotificationKind.NEW_DEVICE: "You have signed in from a device that was not seen before.",
    NotificationKind.SUSPICIOUS_SIGN_IN: "Many wrong passwords for your account, or a token that was used twice.",
    NotificationKind.PERSONAL_DATA_FOUND: "An upload of yours holds columns that look like personal data.",
    NotificationKind.ACCOUNT_CHANGED: "Your password, address, role or keys have changed.",
    NotificationKind.DELIVERY_DROPPED: "A browser or address could not be reached and gets nothing any more.",
}

# What concerns an account's safety, and what somebody waits for, goes by e-mail too unless it is switched off.
_BY_EMAIL = frozenset(
    {
        NotificationKind.APPROVAL_ASKED,
        NotificationKind.APPROVAL_ANSWERED,
        NotificationKind.NEW_DEVICE,
        NotificationKind.SUSPICIOUS_SIGN_IN,
        NotificationKind.ACCOUNT_CHANGED,
    }
)


def default_preference(kind: NotificationKind) -> Preference:
    """How somebody is told of a kind who hasn't said anything of it."""
    return Preference(email=kind in _BY_EMAIL)


@dataclass(frozen=True)
class Happened:
    """A record of the log as notifications are made of it."""

    kind: str
    actor_id: str
    owner_id: str
    object_type: str
    object_id: str
    related: Mapping[str, str]
    attributes: Mapping[str, Any]
    personal: Mapping[str, Any]  # opened

    @property
    def by_its_owner(self) -> bool:
        """Whether the owner did it."""
        return bool(self.owner_id) and self.actor_id == self.owner_id


COUNTED_OVER = timedelta(hours=1)


def _always(_happened: Happened) -> bool:
    return True


def _not_by_its_owner(happened: Happened) -> bool:
    return not happened.by_its_owner


def _for_itself(happened: Happened) -> bool:
    """A job that searches tells of its search."""
    return not happened.related.get("job_id")


def _for_itself_not_by_its_owner(happened: Happened) -> bool:
    return _for_itself(happened) and _not_by_its_owner(happened)


def _from_a_new_device(happened: Happened) -> bool:
    return happened.attributes.get("new_device") is True


def _changes_what_matters(happened: Happened) -> bool:
    """A new display name is no news; a new address is."""
    return "email" in happened.attributes.get("fields", ())


@dataclass(frozen=True)
class Rule:
    """Which notification an event makes, and whether it does."""

    kind: NotificationKind
    applies: Callable[[Happened], bool] = _always
    to_administrators: bool = False  # rather than to the owner
    at_count: int = 1  # only at so many of the kind, of one owner, within `COUNTED_OVER`


RULES: Mapping[str, Rule] = {
    EventKind.JOB_SUCCEEDED: Rule(NotificationKind.JOB_ENDED),
    EventKind.JOB_FAILED: Rule(NotificationKind.JOB_ENDED),
    EventKind.JOB_CANCELLED: Rule(NotificationKind.JOB_ENDED, _not_by_its_owner),
    EventKind.STUDY_SUCCEEDED: Rule(NotificationKind.STUDY_ENDED, _for_itself),
    EventKind.STUDY_FAILED: Rule(NotificationKind.STUDY_ENDED, _for_itself),
    EventKind.STUDY_STOPPED: Rule(NotificationKind.STUDY_ENDED, _for_itself_not_by_its_owner),
    EventKind.JOB_APPROVAL_REQUESTED: Rule(NotificationKind.APPROVAL_ASKED, to_administrators=True),
    EventKind.JOB_APPROVED: Rule(NotificationKind.APPROVAL_ANSWERED),
    EventKind.JOB_REJECTED: Rule(NotificationKind.APPROVAL_ANSWERED),
    EventKind.SESSION_STARTED: Rule(NotificationKind.NEW_DEVICE, _from_a_new_device),
    EventKind.SIGN_IN_FAILED: Rule(NotificationKind.SUSPICIOUS_SIGN_IN, at_count=8),
    EventKind.REFRESH_TOKEN_REUSED: Rule(NotificationKind.SUSPICIOUS_SIGN_IN),
    EventKind.DATASET_PERSONAL_DATA_FOUND: Rule(NotificationKind.PERSONAL_DATA_FOUND),
    EventKind.ACCOUNT_UPDATED: Rule(NotificationKind.ACCOUNT_CHANGED, _changes_what_matters),
    EventKind.ACCOUNT_PASSWORD_CHANGED: Rule(NotificationKind.ACCOUNT_CHANGED),
    EventKind.ACCOUNT_ROLE_CHANGED: Rule(NotificationKind.ACCOUNT_CHANGED),
    EventKind.ACCOUNT_ACTIVATED: Rule(NotificationKind.ACCOUNT_CHANGED),
    EventKind.ACCOUNT_DEACTIVATED: Rule(NotificationKind.ACCOUNT_CHANGED),
    EventKind.API_KEY_CREATED: Rule(NotificationKind.ACCOUNT_CHANGED),
    EventKind.NOTIFICATION_DELIVERY_DROPPED: Rule(NotificationKind.DELIVERY_DROPPED),
}
"""The events of which somebody is told."""
