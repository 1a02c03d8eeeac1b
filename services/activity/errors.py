"""The activity service's errors: gRPC code, reason, metadata."""

from grpc import StatusCode

from servicekit.errors import ServiceError


class ProvenanceNotFound(ServiceError):
    """The log knows of no such object, or it is somebody else's."""

    code, reason = StatusCode.NOT_FOUND, "PROVENANCE_NOT_FOUND"

    def __init__(self, object_id: str) -> None:
        shown = object_id[:100]
        super().__init__(f"Nothing of yours with the id {shown} is in the log.", object_id=shown)


class LogNotIntact(ServiceError):
    """What was asked for can't be proven: the log isn't as it was written."""

    code, reason = StatusCode.DATA_LOSS, "LOG_NOT_INTACT"

    def __init__(self, seq: int, description: str) -> None:
        super().__init__(f"The log is not as it was written, and proves nothing of this. {description}", seq=str(seq))


class NotificationNotFound(ServiceError):
    """There is no such notification, or it is somebody else's."""

    code, reason = StatusCode.NOT_FOUND, "NOTIFICATION_NOT_FOUND"

    def __init__(self, notification_id: object) -> None:
        super().__init__(f"Notification {notification_id} does not exist.", notification_id=str(notification_id))


class PushSwitchedOff(ServiceError):
    """This platform sends nothing to browsers."""

    code, reason = StatusCode.FAILED_PRECONDITION, "PUSH_SWITCHED_OFF"

    def __init__(self) -> None:
        super().__init__("This platform sends no push notifications (ENABLE_PUSH_NOTIFICATIONS).")


class TooManyPushSubscriptions(ServiceError):
    """The user has as many browsers registered as one user may have."""

    code, reason = StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_PUSH_SUBSCRIPTIONS"

    def __init__(self, limit: int) -> None:
        super().__init__(f"You have {limit} browsers registered, the most there may be. Forget one.", limit=str(limit))


class PushSubscriptionNotFound(ServiceError):
    """There is no such browser, or it is somebody else's."""

    code, reason = StatusCode.NOT_FOUND, "PUSH_SUBSCRIPTION_NOT_FOUND"

    def __init__(self, push_subscription_id: object) -> None:
        super().__init__(
            f"Browser {push_subscription_id} is not registered.", push_subscription_id=str(push_subscription_id)
        )
