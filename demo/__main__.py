"""`python -m demo`: a real table, end to end, on the whole platform.

Starts the platform (or uses the one that runs here already), signs up, uploads `flights.csv` through the gateway,
trains two models, downloads what they make, compares it with the original, column by column, and tells how good it is.
"""

import argparse
import signal
import sys
import time
from pathlib import Path

from dotenv import load_dotenv
from rich.console import Console
from rich.text import Text

from demo.account import sign_in
from demo.platform import platform
from demo.report import LEGEND, QUALITY_LEGEND, comparison_table, quality_table
from deploy.local.conductor import PlatformFailed
from deploy.local.home import AlreadyRunning, Home
from deploy.local.parts import WrongSettings
from deploy.local.postgres import PostgresFailed
from deploy.local.settings import LocalSettings
from deploy.local.sockets import DirectoryNotOurs
from deploy.local.supervision import SupervisorFailed
from mirage import Client, Dataset, Job, MirageError, compare
from mirage.progress import duration, size
from servicekit.settings import load

TABLE = Path(__file__).resolve().parent / "flights.csv"
SEED = 2013
# Enough to be worth a look, and little enough for two cores: both take about two minutes together.
MODELS = {"tvae": 150, "ctgan": 70}
STOPPED_BY_HAND = 130


def main() -> int:
    """Runs the demonstration and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="go on serving afterwards, until Ctrl-C")
    parser.add_argument("--output", type=Path, default=Path("synthetic-flights"), help="where the tables go")
    parser.add_argument("--rows", type=int, help="rows to draw from each model (default: as many as the table has)")
    parser.add_argument("--epochs", type=int, help="epochs of each model (default: what fits into three minutes)")
    options = parser.parse_args()
    load_dotenv(Path(".env"))
    # SIGTERM ends the program as Ctrl-C does: everything that was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A log has no width to cut lines to.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    settings = load(LocalSettings)
    account = Home(settings.mirage_home).secrets / "demo.json"
    try:
        console.print("[bold]The platform[/bold]")
        with platform(settings, console) as url, Client(url) as client:
            Demonstration(client, console, options.output, options.rows, options.epochs).run(account)
            if options.keep:
                _keep(console, url, account)
    except KeyboardInterrupt:
        console.print("Stopped.")
        return STOPPED_BY_HAND
    except MirageError as error:
        console.print(Text(f"The demonstration failed: {error}\n{error.hint}".rstrip()))
        return 1
    except (AlreadyRunning, PlatformFailed, PostgresFailed, SupervisorFailed, DirectoryNotOurs, WrongSettings) as error:
        console.print(Text(str(error)))
        return 1
    return 0


class Demonstration:
    """One run: each step says what it does and what came of it."""

    def __init__(self, client: Client, console: Console, output: Path, rows: int | None, epochs: int | None) -> None:
        self._client = client
        self._console = console
        self._output = output
        self._rows = rows
        self._epochs = epochs

    def run(self, account: Path) -> None:
        """Goes through all the steps; the user's address and password are kept in the file `account`."""
        began = time.monotonic()
        self._heading("A user")
        self._console.print(sign_in(self._client, account), soft_wrap=True)
        self._heading("A real table")
        dataset = self._upload()
        self._heading("Two models")
        jobs = self._train(dataset)
        self._heading("Synthetic tables")
        self._download(jobs)
        self._heading("How they compare")
        self._compare(dataset, jobs)
        self._heading("How good they are")
        self._judge(jobs)
        self._client.logout()
        self._console.print(f"\nAll of it took {duration(time.monotonic() - began)}.")

    def _heading(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}[/bold]")

    def _upload(self) -> Dataset:
        known = [
            found for found in self._client.datasets.list(text="flights", state="ready") if found.name == "flights"
        ]
        if known:
            dataset = known[0].refresh()
            self._console.print(f"flights is there from an earlier run: {dataset.row_count:,} rows.")
        else:
            dataset = self._client.datasets.upload(
                TABLE, name="flights", description="Flights from New York City, 2013 (CC0)", progress=True
            )
            read = f"{dataset.source_format}, {size(dataset.source_bytes)}, {dataset.row_count:,} rows"
            self._console.print(f"Uploaded {TABLE.name} through {self._client.url}: {read}.")
        columns = ", ".join(f"{column.name} ({column.type})" for column in dataset.columns)
        self._console.print(Text(f"{dataset.column_count} columns: {columns}."))
        return dataset

    def _train(self, dataset: Dataset) -> dict[str, Job]:
        rows = self._rows or dataset.row_count
        jobs = {
            model: self._client.generate(
                dataset,
                model=model,
                rows=rows,
                seed=SEED,
                name=f"flights {model}",
                epochs=self._epochs or epochs,
                wait=False,
            )
            for model, epochs in MODELS.items()
        }
        try:
            self._watch(jobs, dataset)
        except BaseException:
            # They would go on when the platform is started again, before the next demonstration's.
            for job in jobs.values():
                job.cancel()
            raise
        return jobs

    def _watch(self, jobs: dict[str, Job], dataset: Dataset) -> None:
        for model, job in jobs.items():
            job.wait(progress=True)
            took = (
                f" in {duration((job.end_time - job.start_time).total_seconds())}"
                if job.end_time and job.start_time
                else ""
            )
            self._console.print(
                f"{model} learned {dataset.row_count:,} rows and drew {job.rows:,}{took}, seed {job.seed}."
            )

    def _download(self, jobs: dict[str, Job]) -> None:
        for model, job in jobs.items():
            for file_format in ("csv", "parquet"):
                path = job.download(self._output / f"{model}.{file_format}")
                self._console.print(f"{path.resolve()}  {size(path.stat().st_size)}", soft_wrap=True)

    def _compare(self, dataset: Dataset, jobs: dict[str, Job]) -> None:
        types = {column.name: column.type for column in dataset.columns}
        real = dataset.table()
        comparisons = {model: compare(real, job.table(), types) for model, job in jobs.items()}
        self._console.print(comparison_table(comparisons))
        self._console.print(LEGEND, style="dim")

    def _judge(self, jobs: dict[str, Job]) -> None:
        self._console.print(quality_table({model: job.quality() for model, job in jobs.items()}))
        self._console.print(QUALITY_LEGEND, style="dim")
        for model, job in jobs.items():
            page = job.report(self._output / f"{model}-quality.html")
            self._console.print(f"{page.resolve()}  {size(page.stat().st_size)}", soft_wrap=True)


def _keep(console: Console, url: str, account: Path) -> None:
    console.print(f"\n[bold]Serving on[/bold] at {url} until Ctrl-C; documentation at {url}/docs")
    console.print(f"Address and password of the demonstration's user: {account}", soft_wrap=True)
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    sys.exit(main())
