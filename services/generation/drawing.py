"""Reports as pages, drawn by a program of its own and passed on as they are drawn."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress

import structlog

from services.generation.quality.page.facts import Facts
from services.generation.quality.report import QualityReport

log = structlog.get_logger(__name__)

_PROGRAM = "services.generation.quality.page"
_PIECE_BYTES = 1 << 16
# What of this process's environment the program gets to see; none of it is secret.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "MPLCONFIGDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


class DrawingFailed(Exception):
    """The program broke off; its last words are in the log."""


class PageDrawer:
    """Draws so many pages at once; others wait."""

    def __init__(self, at_once: int) -> None:
        self._free = asyncio.Semaphore(at_once)

    async def draw(self, report: QualityReport, facts: Facts) -> AsyncGenerator[bytes, None]:
        """The page's bytes, as they are drawn. Closing this ends the program.

        Raises:
            DrawingFailed: the program broke off.
        """
        async with self._free:
            program = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                _PROGRAM,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
                | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            words = asyncio.ensure_future(_rest(program.stderr))
            try:
                await _tell(program, f'{{"report":{report.model_dump_json()},"facts":{facts.model_dump_json()}}}')
                async for piece in _pieces(program.stdout):
                    yield piece
                if await program.wait():
                    log.error("drawing_failed", exit_code=program.returncode, said=(await words)[-2000:])
                    raise DrawingFailed
            finally:
                with suppress(ProcessLookupError):
                    program.kill()
                await asyncio.shield(program.wait())
                await words


async def _tell(program: asyncio.subprocess.Process, text: str) -> None:
    if program.stdin is None:
        raise TypeError("the program has no input")
    with suppress(BrokenPipeError, ConnectionResetError):  # its exit code tells what happened
        program.stdin.write(text.encode())
        await program.stdin.drain()
    program.stdin.close()


async def _pieces(stream: asyncio.StreamReader | None) -> AsyncGenerator[bytes, None]:
    while stream is not None and (piece := await stream.read(_PIECE_BYTES)):
        yield piece


async def _rest(stream: asyncio.StreamReader | None) -> str:
    return (await stream.read()).decode(errors="replace") if stream is not None else ""
