"""Rows to protobuf messages, and back what a use case takes; pure."""

from uuid import UUID

from mirage.auth.v1 import (
    account_pb2,
    administration_pb2,
    api_key_pb2,
    revocation_pb2,
    session_pb2,
    stream_ticket_pb2,
    token_pb2,
)
from servicekit.structs import to_struct
from servicekit.timestamps import to_timestamp
from services.auth.inputs import ACTIVE, INACTIVE
from services.auth.models import AccountDeletion, ApiKey, Profile, Revocation, RevocationKind, Session, User
from services.auth.revocations import Batch
from services.auth.scopes import scope_text
from services.auth.sessions import Grant
from services.auth.streams import Ticket
from services.auth.tokens import AccessToken


def filters_from_proto(request: administration_pb2.ListUsersRequest) -> dict[str, str | None]:
    """What ListUsers filters by; None is any."""
    states = {
        account_pb2.USER_STATE_UNSPECIFIED: None,
        account_pb2.USER_STATE_ACTIVE: ACTIVE,
        account_pb2.USER_STATE_INACTIVE: INACTIVE,
    }
    return {
        "role": request.role or None,
        "state": states.get(request.state, "unknown"),  # a number that the enum doesn't have is refused later
        "text": request.text,
    }


def user_to_proto(user: User) -> account_pb2.User:
    """An account."""
    return account_pb2.User(
        user_id=str(user.id),
        email=user.email,
        display_name=user.display_name,
        role=user.role.value,
        state=account_pb2.USER_STATE_ACTIVE if user.active else account_pb2.USER_STATE_INACTIVE,
        create_time=to_timestamp(user.created_at),
        update_time=to_timestamp(user.updated_at),
        last_login_time=to_timestamp(user.last_login_at),
    )


def deletion_to_proto(deletion: AccountDeletion) -> administration_pb2.AccountDeletion:
    """The end of an account."""
    return administration_pb2.AccountDeletion(
        deletion_id=str(deletion.id),
        user_id=str(deletion.user_id or ""),
        requested_by=deletion.requested_by.value,
        services=[
            administration_pb2.ServiceDeletion(
                service=step.service,
                state=step.state.value,
                attempts=step.attempts,
                found=step.found,
                error=step.error,
                update_time=to_timestamp(step.updated_at),
            )
            for step in deletion.steps
        ],
        create_time=to_timestamp(deletion.created_at),
        end_time=to_timestamp(deletion.ended_at),
    )


def profile_to_proto(profile: Profile) -> account_pb2.Profile:
    """The details beyond an account."""
    return account_pb2.Profile(
        user_id=str(profile.user_id),
        organisation=profile.organisation,
        locale=profile.locale,
        preferences=to_struct(profile.preferences),
        update_time=to_timestamp(profile.updated_at),
    )


def session_to_proto(session: Session, current_id: UUID) -> session_pb2.Session:
    """A session; `current_id` is the one that asks."""
    return session_pb2.Session(
        session_id=str(session.id),
        user_agent=session.user_agent,
        address=session.address,
        create_time=to_timestamp(session.created_at),
        last_use_time=to_timestamp(session.last_used_at),
        expire_time=to_timestamp(session.expires_at),
        current=session.id == current_id,
    )


def grant_to_proto(grant: Grant) -> session_pb2.TokenPair:
    """A pair of tokens."""
    return session_pb2.TokenPair(
        access_token=grant.access_token,
        refresh_token=grant.refresh_token,
        token_type="Bearer",  # noqa: S106 - the name of a scheme (RFC 6750)
        expires_in=grant.expires_in_s,
    )


def service_token_to_proto(token: AccessToken) -> token_pb2.ServiceToken:
    """A service's token."""
    return token_pb2.ServiceToken(access_token=token.token, expires_in=token.expires_in_s)


def api_key_to_proto(key: ApiKey, text: str | None = None) -> api_key_pb2.ApiKey:
    """An API key; with its text only when it has just been made."""
    return api_key_pb2.ApiKey(
        key_id=str(key.id),
        name=key.name,
        scopes=key.scopes,
        hint=key.hint,
        create_time=to_timestamp(key.created_at),
        expire_time=to_timestamp(key.expires_at),
        last_use_time=to_timestamp(key.last_used_at),
        last_use_address=key.last_used_address,
        key=text,
    )


def api_key_token_to_proto(grant: Grant) -> api_key_pb2.ApiKeyToken:
    """An access token made from an API key."""
    return api_key_pb2.ApiKeyToken(
        access_token=grant.access_token,
        token_type="Bearer",  # noqa: S106 - the name of a scheme (RFC 6750)
        expires_in=grant.expires_in_s,
        scope=scope_text(grant.scopes or ()),
    )


def ticket_to_proto(ticket: Ticket) -> stream_ticket_pb2.StreamTicket:
    """A ticket for a stream."""
    return stream_ticket_pb2.StreamTicket(
        ticket=ticket.text,
        url=ticket.url,
        expire_time=to_timestamp(ticket.expires_at),
        expires_in=ticket.expires_in_s,
    )


_KINDS = {
    RevocationKind.SESSION: revocation_pb2.REVOCATION_KIND_SESSION,
    RevocationKind.USER: revocation_pb2.REVOCATION_KIND_USER,
}


def revocations_to_proto(batch: Batch) -> revocation_pb2.RevocationBatch:
    """Some revocations."""
    return revocation_pb2.RevocationBatch(
        revocations=[_revocation_to_proto(revocation) for revocation in batch.revocations],
        resume_token=str(batch.seq),
        restart=batch.restart,
        complete=batch.complete,
    )


def _revocation_to_proto(revocation: Revocation) -> revocation_pb2.Revocation:
    return revocation_pb2.Revocation(
        kind=_KINDS[revocation.kind],
        subject_id=str(revocation.subject_id),
        issued_until=to_timestamp(revocation.issued_until),
        expire_time=to_timestamp(revocation.expires_at),
    )
