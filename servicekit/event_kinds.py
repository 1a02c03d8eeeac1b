"""The kinds of events that the platform knows, each a noun and a verb: what a service tells the activity service of."""

from enum import StrEnum


class EventKind(StrEnum):
    """What can happen. A new kind is a line here; the log takes kinds that it doesn't know as well, and says so."""

    ACCOUNT_REGISTERED = "account.registered"
    ACCOUNT_UPDATED = "account.updated"
    ACCOUNT_PASSWORD_CHANGED = "account.password_changed"  # noqa: S105 - a name
    ACCOUNT_ACTIVATED = "account.activated"
    ACCOUNT_DEACTIVATED = "account.deactivated"
    ACCOUNT_ROLE_CHANGED = "account.role_changed"
    ACCOUNT_DELETED = "account.deleted"

    SESSION_STARTED = "session.started"
    SESSION_ENDED = "session.ended"
    SIGN_IN_FAILED = "sign_in.failed"
    SIGN_IN_THROTTLED = "sign_in.throttled"
    REFRESH_TOKEN_REUSED = "refresh_token.reused"  # noqa: S105 - a name
    TOKEN_FORGED = "token.forged"  # noqa: S105 - a name
    API_KEY_CREATED = "api_key.created"
    API_KEY_DELETED = "api_key.deleted"

    DATASET_UPLOADED = "dataset.uploaded"
    DATASET_VERSION_ADDED = "dataset.version_added"
    DATASET_FAILED = "dataset.failed"
    DATASET_UPDATED = "dataset.updated"
    DATASET_PUBLISHED = "dataset.published"
    DATASET_DELETED = "dataset.deleted"
    DATASET_EXPORTED = "dataset.exported"
    DATASET_PERSONAL_DATA_FOUND = "dataset.personal_data_found"

    JOB_CREATED = "job.created"
    JOB_APPROVAL_REQUESTED = "job.approval_requested"
    JOB_APPROVED = "job.approved"
    JOB_REJECTED = "job.rejected"
    JOB_STARTED = "job.started"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_DELETED = "job.deleted"
    TABLE_DOWNLOADED = "table.downloaded"
    REPORT_VIEWED = "report.viewed"
    MODEL_SAMPLED = "model.sampled"
    MODEL_DOWNLOADED = "model.downloaded"
    MODEL_DELETED = "model.deleted"
    EVALUATION_MADE = "evaluation.made"

    STUDY_CREATED = "study.created"
    STUDY_SUCCEEDED = "study.succeeded"
    STUDY_STOPPED = "study.stopped"
    STUDY_FAILED = "study.failed"

    NOTIFICATION_DELIVERY_DROPPED = "notification.delivery_dropped"

    REQUEST_RATE_LIMITED = "request.rate_limited"


KNOWN = frozenset(kind.value for kind in EventKind)
"""The names of all kinds."""
