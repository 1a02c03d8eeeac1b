"""The plain client: in loops, threads, programs that end, and when interrupted."""

import asyncio
import inspect
import signal
import subprocess
import sys
import threading

import pytest

import mirage
from mirage import AsyncClient, Client
from mirage.errors import NotFound
from mirage.plain.client import Account, Admin
from mirage.plain.datasets import Dataset, Datasets
from mirage.plain.jobs import Job, Jobs
from mirage.plain.models import Model, Models, Sample
from tests.client.platform import EMAIL, PASSWORD, SmallPlatform

PAIRS = [
    (Client, "mirage.aio.client.AsyncClient"),
    (Account, "mirage.aio.account.AsyncAccount"),
    (Admin, "mirage.aio.admin.AsyncAdmin"),
    (Dataset, "mirage.aio.datasets.AsyncDataset"),
    (Datasets, "mirage.aio.datasets.AsyncDatasets"),
    (Job, "mirage.aio.jobs.AsyncJob"),
    (Jobs, "mirage.aio.jobs.AsyncJobs"),
    (Model, "mirage.aio.models.AsyncModel"),
    (Models, "mirage.aio.models.AsyncModels"),
    (Sample, "mirage.aio.models.AsyncSample"),
]


async def test_inside_a_running_loop(platform: SmallPlatform) -> None:
    """The plain client works in a thread that runs an event loop, as a notebook's does."""

    def use() -> str:
        async def cell() -> str:
            with Client(platform.url).login(EMAIL, PASSWORD) as client:
                return client.account.me().email

        return asyncio.run(cell())

    assert await asyncio.to_thread(use) == EMAIL


def test_wrong_arguments() -> None:
    """What is wrong with a call is told of the object that was called."""
    with pytest.raises(TypeError, match=r"^Client\.generate\(\): missing a required argument: 'dataset'$"):
        Client("http://localhost").generate()  # type: ignore[call-arg]  # that is the fault
    with pytest.raises(TypeError, match=r"^Jobs\.get\(\): got an unexpected keyword argument 'name'$"):
        Client("http://localhost").jobs.get("1", name="x")  # type: ignore[call-arg]  # that is the fault


async def test_from_many_threads(platform: SmallPlatform) -> None:
    """One plain client serves many threads at once."""
    client = await asyncio.to_thread(Client(platform.url).login, EMAIL, PASSWORD)
    users = await asyncio.gather(*(asyncio.to_thread(client.account.me) for _ in range(10)))
    assert {user.email for user in users} == {EMAIL}
    await asyncio.to_thread(client.close)


async def test_errors_reach_the_caller(platform: SmallPlatform) -> None:
    """An error is raised in the thread that called."""
    client = await asyncio.to_thread(Client(platform.url).login, EMAIL, PASSWORD)
    with pytest.raises(NotFound):
        await asyncio.to_thread(client.jobs.get, "nothing")


async def test_watching(platform: SmallPlatform) -> None:
    """A watch is a plain iterator; one that is left early ends its call."""
    platform.add_events(20, last=True)

    def use() -> list[int]:
        with Client(platform.url).login(EMAIL, PASSWORD) as client:
            job = client.jobs.get("job")
            for _ in job.watch():
                break
            return [event.sequence for event in job.watch()]

    assert await asyncio.to_thread(use) == list(range(1, 21))


async def test_program_that_closes_nothing_ends(platform: SmallPlatform) -> None:
    """A program that never closes its client, and leaves a watch in the middle, ends by itself and says nothing."""
    platform.add_events(1, last=False)
    program = (
        "import sys; from mirage import Client; client = Client(sys.argv[1]).login(sys.argv[2], sys.argv[3]); "
        "events = client.jobs.get('job').watch(); print(next(events).sequence)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, platform.url, EMAIL, PASSWORD, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        output, messages = await process.communicate()
    assert (process.returncode, output, messages) == (0, b"1\n", b"")


async def test_ctrl_c_interrupts_a_wait(platform: SmallPlatform) -> None:
    """Ctrl-C ends a wait at once, and the client can be used afterwards; the job goes on."""
    platform.add_events(1, last=False)
    program = (
        "import sys; from mirage import Client; client = Client(sys.argv[1]).login(sys.argv[2], sys.argv[3])\n"
        "try:\n    client.jobs.get('job').wait(progress=False)\n"
        "except KeyboardInterrupt:\n    print('interrupted', client.jobs.get('job').state)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, platform.url, EMAIL, PASSWORD, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        await platform.watching.wait()
        process.send_signal(signal.SIGINT)
        output, messages = await process.communicate()
    assert (process.returncode, output, messages) == (0, b"interrupted training\n", b"")


@pytest.mark.parametrize(
    ("plain", "core"), PAIRS, ids=lambda value: value if isinstance(value, str) else value.__name__
)
def test_plain_has_all_that_asynchronous_has(plain: type, core: str) -> None:
    """Every public method of the asynchronous client has a plain one with the same parameters and documentation."""
    module, _, name = core.rpartition(".")
    asynchronous = getattr(sys.modules[module], name)
    internal = {"send"}  # what `upload` is made of
    for method_name, method in inspect.getmembers(asynchronous, inspect.isfunction):
        if method_name.startswith("_") or method_name in internal:
            continue
        other = getattr(plain, method_name)
        assert list(inspect.signature(other).parameters) == list(inspect.signature(method).parameters), method_name
        assert other.__doc__


def test_importing_costs_nothing() -> None:
    """Importing the package loads none of the client's libraries, so that services can take its stubs without them."""
    heavy = "pandas pyarrow typer rich anyio numpy filelock platformdirs"
    program = (
        f"import sys, mirage, mirage.auth.v1.session_pb2_grpc; "
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


def test_everything_offered_is_there() -> None:
    """Every name that the package offers can be had, and no other."""
    assert all(getattr(mirage, name) is not None for name in dir(mirage))
    assert mirage.Client is Client
    assert mirage.AsyncClient is AsyncClient
    assert callable(mirage.compare)
    with pytest.raises(AttributeError, match="Klient"):
        _ = mirage.Klient


def test_client_without_closing_leaves_no_threads_behind() -> None:
    """All plain clients of a process share one thread."""
    for _ in range(5):
        Client("http://127.0.0.1:1")
    assert sum(thread.name == "mirage-client" for thread in threading.enumerate()) <= 1


@pytest.mark.parametrize(
    "program", ["from mirage import Client", "import runpy; runpy.run_module('mirage.cli.main', run_name='__main__')"]
)
def test_installation_without_the_client(program: str) -> None:
    """Where the client's packages aren't installed, library and command line say which command installs them."""
    blocked = "import sys; sys.modules['anyio'] = sys.modules['typer'] = None; " + program
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'mirage-platform[client]'" in done.stderr
