"""The auth service's composition root: everything is wired here."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc.aio

from mirage.auth.v1 import (
    account_pb2_grpc,
    administration_pb2_grpc,
    api_key_pb2_grpc,
    contact_pb2_grpc,
    oauth_pb2_grpc,
    revocation_pb2_grpc,
    session_pb2_grpc,
    stream_ticket_pb2_grpc,
    token_pb2_grpc,
)
from servicekit.beside import beside
from servicekit.database import Database
from servicekit.delivery import delivering
from servicekit.identity import TokenVerifier
from servicekit.listen import Listener
from servicekit.metrics.outbox import read_outbox
from servicekit.metrics.stored import database_metrics
from servicekit.request_telling import counted_requests
from servicekit.security_notes import SecurityNotes
from servicekit.server import Application
from servicekit.workspace import open_workspace
from services.auth import holders, identities, keys
from services.auth.accounts import Accounts
from services.auth.administration import Administration
from services.auth.api_keys import ApiKeys, Limits
from services.auth.authentication import SessionAuthenticator
from services.auth.deletions import DeletionDriver, Deletions
from services.auth.exports import Exports
from services.auth.metrics import read_accounts
from services.auth.oauth import TokenEndpoint
from services.auth.passwords import Passwords
from services.auth.repository import REVOCATIONS_CHANNEL
from services.auth.revocations import keep_tidy
from services.auth.servicers.accounts import AccountServicer
from services.auth.servicers.administration import AdministrationServicer
from services.auth.servicers.api_keys import ApiKeyServicer
from services.auth.servicers.contacts import ContactServicer
from services.auth.servicers.oauth import TokenServicer
from services.auth.servicers.revocations import RevocationServicer
from services.auth.servicers.sessions import SessionServicer
from services.auth.servicers.streams import StreamTicketServicer
from services.auth.servicers.tokens import KeyServicer, ServiceIdentityServicer
from services.auth.sessions import Lifetimes, Sessions
from services.auth.settings import Settings
from services.auth.streams import StreamTickets
from services.auth.throttling import Throttle
from services.auth.tokens import AccessTokens

SERVICE_NAMES = (
    "mirage.auth.v1.AccountService",
    "mirage.auth.v1.AdministrationService",
    "mirage.auth.v1.ApiKeyService",
    "mirage.auth.v1.ContactService",
    "mirage.auth.v1.KeyService",
    "mirage.auth.v1.RevocationService",
    "mirage.auth.v1.ServiceIdentityService",
    "mirage.auth.v1.SessionService",
    "mirage.auth.v1.StreamTicketService",
    "mirage.auth.v1.TokenService",
)


@asynccontextmanager
async def application(settings: Settings) -> AsyncIterator[Application]:
    """What the server serves; what it opens is closed at the end.

    Raises:
        ConfigurationError: a file that a setting names can't be used.
    """
    async with AsyncExitStack() as stack:
        signing_keys = keys.load_or_create(settings.signing_keys_dir, settings.signed_lifetime)
        await stack.enter_async_context(beside(keys.keep_current(settings.signing_keys_dir, signing_keys)))
        secrets = identities.load_secrets(settings.service_secrets_file)
        access_tokens = AccessTokens(signing_keys, issuer=settings.token_issuer, audience=settings.token_audience)
        service_identities = identities.ServiceIdentities(secrets, access_tokens, settings.service_token_lifetime)
        lifetimes = Lifetimes(access=settings.access_token_lifetime, refresh=settings.refresh_token_lifetime)
        database = Database.from_settings(settings)
        stack.push_async_callback(database.close)
        listener = await stack.enter_async_context(Listener(database.dsn, REVOCATIONS_CHANNEL))
        await stack.enter_async_context(beside(keep_tidy(database)))
        own_identity = identities.OwnIdentity(access_tokens, settings.service_token_lifetime)
        await stack.enter_async_context(delivering(settings, database, own_identity))
        requests = await stack.enter_async_context(counted_requests(settings, settings.activity_address, own_identity))
        notes = await stack.enter_async_context(SecurityNotes(database.sessions))
        passwords = Passwords(settings)
        stack.callback(passwords.close)
        throttle = Throttle(database, enabled=settings.throttles)
        workspace = stack.enter_context(open_workspace())
        held = await stack.enter_async_context(holders.opened(settings.holders, settings.internal_tls, own_identity))
        deletions = Deletions(database, [holder.name for holder in held])
        driver = DeletionDriver(database, held, settings.deletion_settle, deletions.begun)
        await stack.enter_async_context(beside(driver.drive()))
        accounts = Accounts(database, passwords, throttle, deletions)
        sessions = Sessions(database, passwords, access_tokens, lifetimes, throttle)
        key_limits = Limits(keys=settings.max_api_keys, lifetime=settings.api_key_max_lifetime)
        api_keys = ApiKeys(database, access_tokens, key_limits, settings.access_token_lifetime, throttle)
        verifier = TokenVerifier(signing_keys, issuer=settings.token_issuer, audience=settings.token_audience)

        def register(server: grpc.aio.Server) -> None:
            account_pb2_grpc.add_AccountServiceServicer_to_server(
                AccountServicer(accounts, Exports(database, held, workspace)), server
            )
            administration = Administration(database, deletions)
            administration_pb2_grpc.add_AdministrationServiceServicer_to_server(
                AdministrationServicer(administration, deletions), server
            )
            contact_pb2_grpc.add_ContactServiceServicer_to_server(ContactServicer(administration), server)
            api_key_pb2_grpc.add_ApiKeyServiceServicer_to_server(ApiKeyServicer(api_keys), server)
            oauth_pb2_grpc.add_TokenServiceServicer_to_server(TokenServicer(TokenEndpoint(sessions, api_keys)), server)
            revocation_pb2_grpc.add_RevocationServiceServicer_to_server(
                RevocationServicer(database, listener, settings.revocation_heartbeat_seconds), server
            )
            session_pb2_grpc.add_SessionServiceServicer_to_server(SessionServicer(accounts, sessions), server)
            stream_ticket_pb2_grpc.add_StreamTicketServiceServicer_to_server(
                StreamTicketServicer(StreamTickets(access_tokens)), server
            )
            token_pb2_grpc.add_KeyServiceServicer_to_server(KeyServicer(signing_keys), server)
            token_pb2_grpc.add_ServiceIdentityServiceServicer_to_server(
                ServiceIdentityServicer(service_identities), server
            )

        authenticator = SessionAuthenticator(verifier, database)
        measured = await stack.enter_async_context(database_metrics(settings, database, read_accounts, read_outbox))
        needs = {"database": database.check}
        yield Application(
            SERVICE_NAMES, register, authenticator, listener.wind_down, needs, measured, notes.hear, requests=requests
        )
