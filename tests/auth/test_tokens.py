"""Keys, the key set, services' identities, and every RPC with every kind of caller."""

import json
import multiprocessing
import stat
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import grpc
import grpc.aio
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mirage.auth.v1 import administration_pb2, token_pb2
from servicekit.access import Role
from servicekit.identity import RemoteKeys, TokenVerifier
from servicekit.ids import new_id
from servicekit.settings import ConfigurationError
from servicekit.timestamps import utc_now
from services.auth import identities, keys
from services.auth.tokens import AccessTokens
from tests.auth.conftest import SECRETS
from tests.auth.first_key import tell_first_key_id
from tests.auth.platform import AuthService, bearer, claims_of
from tests.support.errors import refused
from tests.support.walk import Token, walk

PEM, PKCS8, PLAIN = (
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)


async def service_token(auth: AuthService, client_id: str, secret: str) -> token_pb2.ServiceToken:
    """A service's token."""
    request = token_pb2.IssueServiceTokenRequest(client_id=client_id, client_secret=secret)
    return await auth.identities.IssueServiceToken(request)


def write_key(directory: Path, name: str, private_key: ec.EllipticCurvePrivateKey | None = None) -> None:
    """A key file; with a new key where none is given."""
    directory.mkdir(exist_ok=True)
    private_key = private_key or ec.generate_private_key(ec.SECP256R1())
    path = directory / name
    path.write_bytes(private_key.private_bytes(PEM, PKCS8, PLAIN))
    path.chmod(0o600)


def token_of(source: keys.SigningKeys, user_id: str, session_id: str, role: Role = Role.USER) -> str:
    """A token with these claims, signed by these keys."""
    signer = AccessTokens(source, issuer="mirage", audience="mirage-api")
    signed = signer.for_session(
        user_id=UUID(user_id), role=role, session_id=UUID(session_id), now=utc_now(), lifetime=timedelta(minutes=1)
    )
    return signed.token


async def test_key_set_is_raw_and_verifies_tokens(auth: AuthService) -> None:
    """The JWK set goes out raw, may be kept for a minute, holds no private part, and verifies a token."""
    call = auth.keys.GetKeySet(token_pb2.GetKeySetRequest())
    metadata = dict(await call.initial_metadata())
    body = await call
    assert (metadata["x-raw-body"], metadata["cache-control"]) == ("1", "public, max-age=60")
    assert body.content_type == "application/jwk-set+json"
    key_set = json.loads(body.data)
    assert [set(key) for key in key_set["keys"]] == [{"kty", "crv", "x", "y", "kid", "use", "alg"}]
    person = await auth.user()
    key = jwt.PyJWKSet.from_dict(key_set)[jwt.get_unverified_header(person.pair.access_token)["kid"]]
    claims = jwt.decode(person.pair.access_token, key, audience="mirage-api", issuer="mirage", algorithms=["ES256"])
    assert claims["sub"] == person.user_id


async def test_other_services_can_verify_tokens(auth: AuthService) -> None:
    """The way other services check tokens, keys fetched over gRPC, takes people's and services' tokens."""
    verifier = TokenVerifier(RemoteKeys(auth.channel), issuer="mirage", audience="mirage-api")
    person = await auth.user()
    caller = await verifier.authenticate(person.pair.access_token)
    assert (caller.subject, caller.role, caller.session_id) == (person.user_id, Role.USER, person.session_id)
    token = await service_token(auth, "dataset", SECRETS["dataset"])
    caller = await verifier.authenticate(token.access_token)
    assert (caller.subject, caller.role) == ("dataset", Role.SERVICE)


async def test_service_tokens(auth: AuthService) -> None:
    """A service's token is short-lived and has no session."""
    token = await service_token(auth, "dataset", SECRETS["dataset"])
    claims = claims_of(token.access_token)
    assert set(claims) == {"iss", "aud", "sub", "role", "jti", "iat", "exp"}
    assert (claims["sub"], claims["role"]) == ("dataset", "service")
    assert 5 * 60 <= token.expires_in <= 15 * 60


@pytest.mark.parametrize(
    ("client_id", "secret"),
    [("dataset", SECRETS["generation"]), ("dataset", ""), ("stranger", SECRETS["dataset"]), ("", ""), ("é", "é")],
)
async def test_wrong_service_secrets(auth: AuthService, client_id: str, secret: str) -> None:
    """An unknown service and a wrong secret are refused alike."""
    async with refused("INVALID_CLIENT", grpc.StatusCode.UNAUTHENTICATED) as refusal:
        await service_token(auth, client_id, secret)
    assert refusal.metadata == {}


async def test_forged_tokens_are_refused(auth: AuthService) -> None:
    """A token that another key signed, that names another's session, or that nobody signed, is nobody's."""
    person, stranger = await auth.user(), await auth.user()
    ours = keys.load_or_create(auth.settings.signing_keys_dir)
    key_id = ours.signing_key(utc_now()).key_id
    foreign = keys.SigningKeys(
        [keys.SigningKey(key_id, utc_now(), Path(), ec.generate_private_key(ec.SECP256R1()), {})]
    )
    unsigned = jwt.encode(claims_of(person.pair.access_token), key="", algorithm="none")
    by_another_key = token_of(foreign, person.user_id, person.session_id)
    for text in (by_another_key, unsigned, "nonsense", person.pair.access_token[:-4]):
        async with refused("UNAUTHENTICATED", grpc.StatusCode.UNAUTHENTICATED):
            await auth.me(text)
    for session_id in (stranger.session_id, str(new_id())):
        async with refused("SESSION_ENDED", grpc.StatusCode.UNAUTHENTICATED):
            await auth.me(token_of(ours, person.user_id, session_id))


async def test_the_role_in_force_decides(auth: AuthService) -> None:
    """Auth goes by the role an account has now, whatever its token says."""
    person = await auth.user()
    ours = keys.load_or_create(auth.settings.signing_keys_dir)
    claimed = token_of(ours, person.user_id, person.session_id, Role.ADMINISTRATOR)
    async with refused("PERMISSION_DENIED"):
        await auth.administration.ListUsers(administration_pb2.ListUsersRequest(), metadata=bearer(claimed))


async def test_every_rpc_with_every_role(auth: AuthService) -> None:
    """With real tokens every RPC of auth lets in exactly those whom its contract names."""
    root = await auth.administrator()
    user = await auth.register("ada@example.org")

    async def nobody() -> str:
        return ""

    async def signed_in(email: str) -> str:
        return (await auth.login(email)).pair.access_token

    async def service() -> str:
        return (await service_token(auth, "dataset", SECRETS["dataset"])).access_token

    callers: dict[str, Token] = {
        "nobody": nobody,
        "user": partial(signed_in, user.email),
        "administrator": partial(signed_in, root.email),
        "service": service,
    }
    assert await walk(auth.channel, "mirage.auth.v1", callers) == []


def test_first_start_makes_a_private_key(tmp_path: Path) -> None:
    """The first start makes one key that only its owner can read; the next start finds it again."""
    directory = tmp_path / "new" / "keys"
    first = keys.load_or_create(directory)
    (path,) = directory.glob("*.pem")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert keys.load_or_create(directory).key_set() == first.key_set()


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    """Several processes that find no key end up with the same one."""
    context = multiprocessing.get_context("spawn")
    start, key_ids = context.Barrier(3), context.SimpleQueue()
    arguments = (tmp_path / "keys", start, key_ids)
    processes = [context.Process(target=tell_first_key_id, args=arguments, daemon=True) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len({key_ids.get() for _ in processes}) == 1
    assert len(list((tmp_path / "keys").glob("*.pem"))) == 1


def test_a_new_key_is_published_before_it_signs(tmp_path: Path) -> None:
    """Every key is published, and the youngest signs whose moment has come."""
    for name in ("29990101T000000Z.pem", "29990301T000000Z.pem", "29990201T000000Z.pem"):
        write_key(tmp_path, name)
    loaded = keys.load_or_create(tmp_path)
    ids = [key["kid"] for key in json.loads(loaded.key_set())["keys"]]
    assert len(set(ids)) == 3
    signing = [
        ids.index(loaded.signing_key(datetime(2999, month, day, tzinfo=UTC)).key_id)
        for month, day in ((1, 15), (2, 1), (2, 15), (12, 1))
    ]
    assert signing == [0, 1, 1, 2]
    assert loaded.signing_key(datetime(2998, 1, 1, tzinfo=UTC)).key_id == ids[0]


def test_keys_of_a_read_only_directory(tmp_path: Path) -> None:
    """Keys that are there are used as they are: nothing is written beside them."""
    write_key(tmp_path, "20260101T000000Z.pem")
    before = list(tmp_path.iterdir())
    keys.load_or_create(tmp_path)
    assert list(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["key.pem", "20261301T000000Z.pem", "20260101T000000Z.pem"])
def test_wrong_key_files(tmp_path: Path, name: str) -> None:
    """A file that is no key, or named after no moment, is named with its setting."""
    (tmp_path / name).write_text("no key")
    with pytest.raises(ConfigurationError, match=rf"SIGNING_KEYS_DIR: {name} must be"):
        keys.load_or_create(tmp_path)


def test_other_kinds_of_keys_are_refused(tmp_path: Path) -> None:
    """Only P-256 keys sign ES256."""
    for private_key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        path = tmp_path / "20260101T000000Z.pem"
        path.write_bytes(private_key.private_bytes(PEM, PKCS8, PLAIN))
        with pytest.raises(ConfigurationError, match="P-256"):
            keys.load_or_create(tmp_path)


def test_unusable_key_directory(tmp_path: Path) -> None:
    """A directory that can't be one is named with its setting."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="SIGNING_KEYS_DIR"):
        keys.load_or_create(tmp_path / "file" / "keys")


@pytest.mark.parametrize("content", ["{", "[]", '{"dataset": 7}', '{"dataset": "short"}'])
def test_wrong_secrets_files(tmp_path: Path, content: str) -> None:
    """A secrets file of the wrong shape is named with its setting, and nothing of it is repeated."""
    file = tmp_path / "secrets.json"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match="SERVICE_SECRETS_FILE") as caught:
        identities.load_secrets(file)
    assert "short" not in str(caught.value)
