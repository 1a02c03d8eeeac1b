"""What is left when the program that runs trainings dies without a word."""

import asyncio
import sys
import textwrap

import psutil

from tests.generation.training.conftest import SpecMaker

PROGRAM = """
    import asyncio, sys
    from services.generation.training.runner import TrainingRunner
    from services.generation.training.spec import TrainingSpec

    async def heard(progress):
        if progress.epoch:
            print("training", flush=True)

    spec = TrainingSpec.model_validate_json(sys.stdin.read())
    asyncio.run(TrainingRunner().train(spec, heard))
"""


async def test_no_process_outlives_its_program(spec_of: SpecMaker) -> None:
    """When the program is killed, its launcher and its children end too."""
    spec = spec_of("ctgan", parameters={"epochs": 100_000, "batch_size": 60})
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(PROGRAM),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write(spec.model_dump_json().encode())
    program.stdin.close()
    assert await program.stdout.readline() == b"training\n"
    below = psutil.Process(program.pid).children(recursive=True)
    assert len(below) == 2
    program.kill()
    await program.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, below, timeout=20)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
