"""Every RPC of the running platform, straight at its service, with messages of every kind: each says what it thinks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deploy.local.services import SERVICES
from mirage import Client
from mirage.auth.v1 import session_pb2, session_pb2_grpc, token_pb2, token_pb2_grpc
from mirage.options.v1 import access_pb2
from tests.e2e.conftest import PASSWORD, Furnished, end_what_runs
from tests.support import contracts
from tests.support.errors import Refusal
from tests.support.messages import Values, damaged, messages
from tests.support.platform import PlatformForTests
from tests.support.walk import WELCOME

pytestmark = pytest.mark.xdist_group("platform")

FEW, MANY = 8, 60  # messages for each RPC
_TIMEOUT_SECONDS = 120.0
_STREAM_SECONDS = 1.0
# Faults of ours, whatever the caller sent.
_NEVER = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}
# What is there for every other RPC as well.
LASTING = ("dataset_id", "job_id", "model_id", "study_id")
# Packages that every service has a part in, with one of those that serve it.
OF_EVERY_SERVICE = {"health": "optimizer", "holdings": "dataset"}
METHODS = list(contracts.methods())


@dataclass
class Target:
    """A running platform with somebody's things on it, and those who may call."""

    channels: dict[str, grpc.Channel]
    values: Values
    sign_in: dict[str, Callable[[], str]]  # gives a fresh access token, by role
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, role: str, *, fresh: bool = False) -> str:
        """An access token of a role; "" for nobody."""
        if fresh or role not in self.tokens:
            self.tokens[role] = self.sign_in[role]()
        return self.tokens[role]


@pytest.fixture(scope="module")
def target(platform: PlatformForTests, furnished: Furnished) -> Iterator[Target]:
    """A user with one of everything, an administrator, a service; all services serve as before when all is done."""
    administrator = f"{uuid4().hex}@example.org"
    secret = platform.make_administrator(administrator)
    channels = {name: grpc.insecure_channel(platform.service_address(name)) for name in SERVICES}
    sessions = session_pb2_grpc.SessionServiceStub(channels["auth"])
    identities = token_pb2_grpc.ServiceIdentityServiceStub(channels["auth"])

    def login(email: str, password: str) -> str:
        token: str = sessions.Login(session_pb2.LoginRequest(email=email, password=password)).access_token
        return token

    def service() -> str:
        client_id, client_secret = platform.service_identity("dataset")
        request = token_pb2.IssueServiceTokenRequest(client_id=client_id, client_secret=client_secret)
        token: str = identities.IssueServiceToken(request).access_token
        return token

    with Client(platform.url) as client:
        another = client.register(f"{uuid4().hex}@example.org", PASSWORD, "Eve").id
        columns = ["carrier", "distance", "nothing"]
        metrics = ["quality_score", "privacy", "privacy.membership_auc", "ml_efficacy", "nothing"]
        values = {
            **{name: [known, str(uuid4())] for name, known in furnished.ids.items()},
            "table_dataset_id": [furnished.ids["dataset_id"]],
            "user_id": [another, str(uuid4())],  # whom an administrator may well delete
            **dict.fromkeys(("columns", "sensitive_columns", "target_column", "primary_key"), columns),
            **dict.fromkeys(("objectives", "optimization_metric"), metrics),
            "model_type": ["gaussian_copula", "ctgan"],
            "optimization_method": ["random", "grid", "bayesian", "hyperband"],
            "format": ["csv", "parquet", "xlsx", "zip"],
            "visibility": ["private", "public"],
            "email": [furnished.email, administrator, "somebody@example.org"],
            "content_type": ["text/csv", "multipart/form-data; boundary=x", "application/json"],
        }
        sign_in: dict[str, Callable[[], str]] = {
            "nobody": str,
            "user": lambda: login(furnished.email, PASSWORD),
            "administrator": lambda: login(administrator, secret),
            "service": service,
        }
        before = _processes(platform)
        yield Target(channels, values, sign_in)
        assert _processes(platform) == before, "a process has died meanwhile"
        for channel in channels.values():
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_SECONDS
            )
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            channel.close()
        client.login(furnished.email, PASSWORD)
        assert client.account.me().id == furnished.user_id
        end_what_runs(client)


def test_every_rpc_is_among_them() -> None:
    """No RPC of any contract is left out, and each is of a service that runs."""
    assert {method.containing_service.file.package.split(".")[1] for method in METHODS} == {
        *SERVICES,
        *OF_EVERY_SERVICE,
    }
    assert len({contracts.path_of(method) for method in METHODS}) == len(METHODS) > 40
    assert all(_roles(method) for method in METHODS)


@pytest.mark.parametrize("method", METHODS, ids=contracts.path_of)
def test_any_message(target: Target, method: MethodDescriptor) -> None:
    """Whatever comes, from whoever may call: an answer, or an error of the caller's with its reason."""
    _fuzz(target, method, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS, ids=contracts.path_of)
def test_many_messages(target: Target, method: MethodDescriptor) -> None:
    """The same with many more messages."""
    _fuzz(target, method, MANY)


def _fuzz(target: Target, method: MethodDescriptor, examples: int) -> None:
    takes_away = method.name.startswith(("Delete", "Cancel"))
    values = {**target.values, **{name: [str(uuid4())] for name in LASTING}} if takes_away else target.values
    one = messages(method.input_type, values).map(lambda message: message.SerializeToString())
    one = one | one.flatmap(damaged)
    requests = st.lists(one, max_size=3) if method.client_streaming else st.tuples(one).map(list)

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests=requests, role=st.sampled_from(_roles(method)))
    def run(requests: list[bytes], role: str) -> None:
        refusal = _call(target, method, requests, target.token(role))
        if refusal and refusal.code is grpc.StatusCode.UNAUTHENTICATED and role != "nobody":
            # Something before has ended the session, as it may; so this counts only with a new one.
            refusal = _call(target, method, requests, target.token(role, fresh=True))
        assert refusal is None or refusal.code not in _NEVER, (requests, refusal.message)

    run()


def _processes(platform: PlatformForTests) -> dict[str, int]:
    return {name: state.process_id for name, state in platform.states().items()}


def _roles(method: MethodDescriptor) -> list[str]:
    """Who may call."""
    roles = method.GetOptions().Extensions[access_pb2.access].roles
    return sorted(frozenset[str]().union(*(WELCOME[role] for role in roles)))


def _call(target: Target, method: MethodDescriptor, requests: list[bytes], token: str) -> Refusal | None:
    """Calls an RPC with these bytes; why it was refused, None if it was answered."""
    package = method.containing_service.file.package.split(".")[1]
    service = OF_EVERY_SERVICE.get(package, package)
    response = message_factory.GetMessageClass(method.output_type)
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    stub: Any = getattr(target.channels[service], kind)(
        contracts.path_of(method), request_serializer=None, response_deserializer=response.FromString
    )
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    timeout = _STREAM_SECONDS if method.server_streaming else _TIMEOUT_SECONDS
    try:
        answer = stub(iter(requests) if method.client_streaming else requests[0], metadata=metadata, timeout=timeout)
        if method.server_streaming:
            for _ in answer:
                pass
    except grpc.RpcError as error:
        if method.server_streaming and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return None  # a stream that goes on
        refusal = Refusal()
        refusal.read(error)  # type: ignore[arg-type]  # has what is read of the asynchronous one
        return refusal
    return None
