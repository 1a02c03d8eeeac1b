"""The auth service under test: a real server on a real database, and people who use it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID, uuid4

import grpc.aio
import jwt

from mirage.auth.v1 import (
    account_pb2,
    account_pb2_grpc,
    administration_pb2_grpc,
    api_key_pb2,
    api_key_pb2_grpc,
    oauth_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
    stream_ticket_pb2_grpc,
    token_pb2_grpc,
)
from servicekit.database import Database
from services.auth.administration import appoint
from services.auth.passwords import Passwords
from services.auth.settings import Settings

PASSWORD = "Correct-horse-7"
Metadata = tuple[tuple[str, str], ...]


@dataclass
class Person:
    """Somebody who is signed in."""

    user_id: str
    email: str
    pair: session_pb2.TokenPair

    @property
    def metadata(self) -> Metadata:
        """What makes a call theirs."""
        return bearer(self.pair.access_token)

    @property
    def session_id(self) -> str:
        """The session of their access token."""
        return str(claims_of(self.pair.access_token)["sid"])


class AuthService:
    """Stubs for a running auth service, and short ways to people in the states that tests need."""

    def __init__(self, channel: grpc.aio.Channel, settings: Settings, database: Database) -> None:
        self.channel = channel
        self.settings = settings
        self.database = database

    @cached_property
    def sessions(self) -> "session_pb2_grpc.SessionServiceAsyncStub":
        return session_pb2_grpc.SessionServiceStub(self.channel)

    @cached_property
    def accounts(self) -> "account_pb2_grpc.AccountServiceAsyncStub":
        return account_pb2_grpc.AccountServiceStub(self.channel)

    @cached_property
    def administration(self) -> "administration_pb2_grpc.AdministrationServiceAsyncStub":
        return administration_pb2_grpc.AdministrationServiceStub(self.channel)

    @cached_property
    def keys(self) -> "token_pb2_grpc.KeyServiceAsyncStub":
        return token_pb2_grpc.KeyServiceStub(self.channel)

    @cached_property
    def api_keys(self) -> "api_key_pb2_grpc.ApiKeyServiceAsyncStub":
        return api_key_pb2_grpc.ApiKeyServiceStub(self.channel)

    @cached_property
    def tokens(self) -> "oauth_pb2_grpc.TokenServiceAsyncStub":
        return oauth_pb2_grpc.TokenServiceStub(self.channel)

    @cached_property
    def tickets(self) -> "stream_ticket_pb2_grpc.StreamTicketServiceAsyncStub":
        return stream_ticket_pb2_grpc.StreamTicketServiceStub(self.channel)

    @cached_property
    def identities(self) -> "token_pb2_grpc.ServiceIdentityServiceAsyncStub":
        return token_pb2_grpc.ServiceIdentityServiceStub(self.channel)

    async def register(self, email: str = "", password: str = PASSWORD, name: str = "Ada") -> account_pb2.User:
        """A new account; with an address of its own where none is given."""
        email = email or f"{uuid4().hex}@example.org"
        request = session_pb2.RegisterRequest(email=email, password=password, display_name=name)
        return await self.sessions.Register(request)

    async def login(self, email: str, password: str = PASSWORD, metadata: Metadata = ()) -> Person:
        """Somebody's new session."""
        pair = await self.sessions.Login(session_pb2.LoginRequest(email=email, password=password), metadata=metadata)
        return Person(str(claims_of(pair.access_token)["sub"]), email, pair)

    async def user(self, email: str = "", name: str = "Ada") -> Person:
        """A new user, signed in."""
        return await self.login((await self.register(email, name=name)).email)

    async def administrator(self) -> Person:
        """A new administrator, signed in."""
        passwords = Passwords(self.settings)
        email = f"{uuid4().hex}@example.org"
        await appoint(self.database, passwords, email=email, display_name="Grace", password=PASSWORD)
        passwords.close()
        return await self.login(email)

    async def api_key(
        self, person: Person, scopes: Sequence[str], *, name: str = "a program", metadata: Metadata = ()
    ) -> api_key_pb2.ApiKey:
        """Somebody's new API key."""
        request = api_key_pb2.CreateApiKeyRequest(name=name, scopes=scopes)
        return await self.api_keys.CreateApiKey(request, metadata=metadata or person.metadata)

    async def exchange(self, key: str, scope: str = "") -> api_key_pb2.ApiKeyToken:
        """An access token for an API key."""
        return await self.api_keys.ExchangeApiKey(api_key_pb2.ExchangeApiKeyRequest(api_key=key, scope=scope))

    async def refresh(self, refresh_token: str) -> session_pb2.TokenPair:
        """The next pair of tokens."""
        return await self.sessions.Refresh(session_pb2.RefreshRequest(refresh_token=refresh_token))

    async def me(self, access_token: str) -> account_pb2.User:
        """The account behind a token."""
        return await self.accounts.GetMe(account_pb2.GetMeRequest(), metadata=bearer(access_token))


def bearer(token: str) -> Metadata:
    """Metadata with an access token."""
    return (("authorization", f"Bearer {token}"),)


def claims_of(token: str) -> dict[str, object]:
    """A token's claims, unverified."""
    return jwt.decode(token, options={"verify_signature": False})


def uuid_of(text: str) -> UUID:
    """An id that a message holds."""
    return UUID(text)
