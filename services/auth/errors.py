"""The auth service's errors: gRPC code, reason, metadata."""

from collections.abc import Collection

from grpc import StatusCode

from servicekit.errors import InvalidRequest, PermissionDenied, ServiceError, Unauthenticated, Violation


class InvalidCredentials(Unauthenticated):
    """No account has this address and this password; which of the two is wrong is never told."""

    reason = "INVALID_CREDENTIALS"

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


class AccountInactive(ServiceError):
    """The account is switched off; told only to somebody who knows its password."""

    code = StatusCode.PERMISSION_DENIED
    reason = "ACCOUNT_INACTIVE"

    def __init__(self) -> None:
        super().__init__("This account is switched off. Ask an administrator to activate it.")


class SessionEnded(Unauthenticated):
    """The access token's session was ended, or its account switched off or deleted."""

    reason = "SESSION_ENDED"

    def __init__(self) -> None:
        super().__init__("The session has ended. Sign in again.")


class InvalidRefreshToken(Unauthenticated):
    """The refresh token is unknown, has expired, or its session has ended."""

    reason = "INVALID_REFRESH_TOKEN"

    def __init__(self) -> None:
        super().__init__("The refresh token is not valid. Sign in again.")


class RefreshTokenReused(Unauthenticated):
    """The refresh token was used before, so it may be in two hands: its session is over."""

    reason = "REFRESH_TOKEN_REUSED"

    def __init__(self) -> None:
        super().__init__("The refresh token was used before, so its session was ended. Sign in again.")


class InvalidApiKey(Unauthenticated):
    """The API key is unknown, has expired or was deleted."""

    reason = "INVALID_API_KEY"

    def __init__(self) -> None:
        super().__init__("The API key is not valid: it is unknown, has expired or was deleted.")


class ScopeNotHeld(PermissionDenied):
    """What was asked for would go beyond what the caller's own token, session or key is limited to."""

    reason = "SCOPE_NOT_HELD"

    def __init__(self, beyond: Collection[str], held: Collection[str]) -> None:
        what = "scope" if len(beyond) == 1 else "scopes"
        super().__init__(
            f"What you sign in with doesn't have the {what} {', '.join(sorted(beyond))}. "
            f"Choose from what it has: {', '.join(sorted(held))}."
        )
        self.metadata = {"scope": " ".join(sorted(beyond))}


class NotFound(ServiceError):
    """There is nothing of a kind with this id, or it is somebody else's. Subclasses name the kind and its id."""

    code = StatusCode.NOT_FOUND
    what: str
    id_name: str

    def __init__(self, id_: str) -> None:
        super().__init__(f"{self.what} {id_} does not exist.", **{self.id_name: id_})


class ApiKeyNotFound(NotFound):
    """The caller has no API key with this id."""

    reason = "API_KEY_NOT_FOUND"
    what, id_name = "API key", "key_id"


class TooManyApiKeys(ServiceError):
    """The caller has as many API keys as a user may have."""

    code = StatusCode.FAILED_PRECONDITION
    reason = "TOO_MANY_API_KEYS"

    def __init__(self, limit: int) -> None:
        super().__init__(f"You have {limit} API keys, which is as many as may be. Delete one first.", limit=str(limit))


class InvalidClient(Unauthenticated):
    """No service has this client id and this secret."""

    reason = "INVALID_CLIENT"

    def __init__(self) -> None:
        super().__init__("The client id or the client secret is wrong.")


class WrongPassword(InvalidRequest):
    """The password given to confirm a change isn't the one in force.

    Not UNAUTHENTICATED: the access token is good, and a client must not answer by renewing it.
    """

    reason = "WRONG_PASSWORD"

    def __init__(self, field: str) -> None:
        super().__init__([Violation(field, "is not the password in force")])


class EmailTaken(ServiceError):
    """Another account has this address."""

    code = StatusCode.ALREADY_EXISTS
    reason = "EMAIL_TAKEN"

    def __init__(self) -> None:
        super().__init__("An account with this e-mail address exists already.")


class UserNotFound(NotFound):
    """No account has this id."""

    reason = "USER_NOT_FOUND"
    what, id_name = "User", "user_id"


class SessionNotFound(NotFound):
    """The caller has no session with this id."""

    reason = "SESSION_NOT_FOUND"
    what, id_name = "Session", "session_id"


class LastAdministrator(ServiceError):
    """The change would leave the platform without an active administrator."""

    code = StatusCode.FAILED_PRECONDITION
    reason = "LAST_ADMINISTRATOR"

    def __init__(self, user_id: str) -> None:
        super().__init__(
            "This is the last active administrator. Make another account an administrator first.", user_id=user_id
        )
