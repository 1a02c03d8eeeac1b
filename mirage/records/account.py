"""Accounts."""

from datetime import UTC, datetime

from mirage.auth.v1 import account_pb2, api_key_pb2, session_pb2, stream_ticket_pb2
from mirage.records.base import Field, OptionalField, Record, from_struct, texts, time, word

user_state = word(account_pb2.UserState, "USER_STATE_")


class User(Record[account_pb2.User]):
    """An account."""

    id = Field("user_id", str, "The account's id.")
    email = Field("email", str, "The address to sign in with.")
    display_name = Field("display_name", str, "The name shown to others.")
    role = Field("role", str, "`user` or `administrator`.")
    state = Field("state", user_state, "`active` or `inactive`.")
    create_time = Field("create_time", time, "When it was made.")
    last_login_time = OptionalField("last_login_time", time, "When it last signed in; None if never.")

    def __repr__(self) -> str:
        return f"<User {self.email} ({self.role}, {self.state})>"


class Profile(Record[account_pb2.Profile]):
    """Details beyond the account."""

    organisation = Field("organisation", str, "Where they work.")
    locale = Field("locale", str, "A BCP 47 language tag.")
    preferences = Field("preferences", from_struct, "Whatever a client keeps for its user.")

    def __repr__(self) -> str:
        return f"<Profile organisation={self.organisation!r} locale={self.locale!r}>"


class Session(Record[session_pb2.Session]):
    """One device on which somebody is signed in."""

    id = Field("session_id", str, "The session's id.")
    user_agent = Field("user_agent", str, "The program it signed in with.")
    address = Field("address", str, "The network address it was last used from.")
    current = Field("current", bool, "Whether it is the session that asks.")
    last_use_time = Field("last_use_time", time, "When its tokens were last renewed.")

    def __repr__(self) -> str:
        return f"<Session {self.id} {self.user_agent!r}{' (this one)' if self.current else ''}>"


class ApiKey(Record[api_key_pb2.ApiKey]):
    """A long-lived key for a program."""

    id = Field("key_id", str, "The key's id, by which it is deleted.")
    name = Field("name", str, "What its owner calls it.")
    scopes = Field("scopes", texts, "What it may be used for.")
    hint = Field("hint", str, "The key's last characters.")
    create_time = Field("create_time", time, "When it was made.")
    expire_time = Field("expire_time", time, "From when on it is refused.")
    last_use_time = OptionalField("last_use_time", time, "When it was last traded for an access token; None if never.")
    last_use_address = Field("last_use_address", str, "The network address from which that was.")
    key = OptionalField("key", str, "The key itself; None but in the answer that made it.")

    @property
    def expired(self) -> bool:
        """Whether it is refused for its age."""
        return self.expire_time <= datetime.now(UTC)

    def __repr__(self) -> str:
        return f"<ApiKey {self.id} {self.name!r} ({' '.join(self.scopes)})>"


class StreamTicket(Record[stream_ticket_pb2.StreamTicket]):
    """A ticket by which a browser opens one stream. Its `repr` doesn't show it."""

    ticket = Field("ticket", str, "The ticket itself.")
    url = Field("url", str, "The stream's path with the ticket in it.")
    expire_time = Field("expire_time", time, "When the stream can no longer be opened with it.")

    def __repr__(self) -> str:
        return f"<StreamTicket until {self.expire_time:%H:%M:%S}>"
