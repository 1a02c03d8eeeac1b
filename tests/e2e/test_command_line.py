"""A story told with the command line, as a program of its own, on the whole platform."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mirage.cli import exit_codes
from tests.e2e.conftest import PASSWORD
from tests.support.platform import PlatformForTests

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.xdist_group("platform")


class Shell:
    """Runs `mirage` as a shell would, with a home of its own."""

    def __init__(self, url: str, home: Path) -> None:
        own = {"MIRAGE_URL": url, "XDG_CONFIG_HOME": str(home / "config"), "PYTHONPATH": str(ROOT)}
        self.environment = {**os.environ, **own}
        self.home = home

    def command(self, *arguments: str) -> list[str]:
        """Returns the program and its arguments."""
        return [sys.executable, "-P", "-m", "mirage.cli.main", *arguments]

    def run(self, *arguments: str, standard_input: str = "", code: int = exit_codes.OK) -> str:
        """Runs a command that must end with `code`; returns what it printed."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=self.home,
            input=standard_input,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == code, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return done.stdout if code == exit_codes.OK else done.stderr

    def json(self, *arguments: str, standard_input: str = "") -> Any:
        """Runs a command for programs."""
        return json.loads(self.run(*arguments, "--json", standard_input=standard_input))


@pytest.fixture
def shell(platform: PlatformForTests, tmp_path: Path) -> Shell:
    """A shell of somebody who has never used the platform."""
    return Shell(platform.url, tmp_path)


@pytest.fixture
def signed_in(shell: Shell, email: str) -> Shell:
    """A shell of somebody who has just signed up."""
    shell.run("register", email, "--name", "Ada", "--password-stdin", standard_input=f"{PASSWORD}\n")
    return shell


def test_from_a_file_to_a_file(signed_in: Shell, flights: pd.DataFrame, email: str) -> None:
    """Upload a file, generate with a live account of progress, download, sample again, delete: each by one command."""
    shell = signed_in
    flights.to_csv(shell.home / "flights.csv", index=False)
    assert email in shell.run("whoami")
    assert "400" in shell.run("datasets", "upload", "flights.csv")
    assert "flights" in shell.run("datasets", "list")
    assert "plane_year" in shell.run("datasets", "show", "flights")
    assert "distance" in shell.run("datasets", "stats", "flights")
    assert "gaussian_copula" in shell.run("config")
    assert "epochs" in shell.run("config", "ctgan")
    assert "accepted" in shell.run("generate", "flights", "--model", "tvae", "--epochs", "10", "--dry-run")

    assert "accepted" in shell.run("generate", "flights", "--model", "tvae", "--optimize", "3", "--dry-run")
    refused = shell.run("generate", "flights", "--optimize", "0", code=exit_codes.USAGE)
    assert "optimization_config.n_trials" in refused
    refused = shell.run("generate", "flights", "--holdout-fraction", "0.9", code=exit_codes.USAGE)
    assert "holdout_fraction: must be a number from 0 to 0.5" in refused
    sought = ["--model", "tvae", "--metric", "privacy", "--holdout-fraction", "0"]
    assert "With holdout_fraction 0" in shell.run("optimize", "-d", "flights", *sought, code=exit_codes.USAGE)

    arguments = ["--model", "tvae", "--rows", "60", "--epochs", "10", "--param", "batch_size=100", "--seed", "5"]
    made = shell.run("generate", "flights", *arguments, "--watch", "--output", "made.parquet")
    assert "60 rows" in made
    assert len(pd.read_parquet(shell.home / "made.parquet")) == 60

    (job,) = shell.json("jobs", "list")
    assert (job["state"], job["seed"], job["sample_size"]) == ("JOB_STATE_SUCCEEDED", 5, 60)
    assert job["job_id"] in shell.run("jobs", "list")
    events = shell.run("jobs", "watch", "latest", "--json").splitlines()
    assert [json.loads(event)["sequence"] for event in events] == list(range(1, len(events) + 1))
    shell.run("download", job["job_id"], "--output", "again.csv")
    assert len(pd.read_csv(shell.home / "again.csv")) == 60
    shell.run("report", "latest", "--output", "report.html")
    assert job["table_sha256"] in (shell.home / "report.html").read_text()

    told = shell.run("quality", "latest", "--details")
    assert "statistical_similarity" in told
    assert f"{shell.json('quality', 'latest')['quality_score']['value']:.3f}" in told
    assert "of 1" in shell.run("jobs", "show", "latest")
    judged = shell.json("evaluate", "--dataset", "flights", "--table", "made.parquet", "--target", "carrier")
    assert (judged["rows"]["synthetic"], judged["target_column"]) == (60, "carrier")
    shell.run("evaluate", "--dataset", "flights", code=exit_codes.USAGE)
    shell.run("evaluate", "--dataset", "flights", "--table", "nothing.csv", code=exit_codes.USAGE)
    assert [kept["name"] for kept in shell.json("datasets", "list")] == ["flights"]  # the judged one is gone again

    (model,) = shell.json("models", "list")
    for name in ("first", "second"):
        shell.run("models", "sample", model["model_id"], "--rows", "25", "--seed", "9", "--output", f"{name}.csv")
    assert (shell.home / "first.csv").read_bytes() == (shell.home / "second.csv").read_bytes()

    assert "--cascade" in shell.run("datasets", "rm", "flights", "--yes", code=exit_codes.NOT_POSSIBLE)
    shell.run("datasets", "rm", "flights", "--yes", "--cascade")
    assert shell.json("jobs", "list") == []
    shell.run("logout")
    assert "mirage login" in shell.run("whoami", code=exit_codes.NOT_SIGNED_IN)


def test_personal_data(signed_in: Shell) -> None:
    """What was found of people is shown, corrected, and stands in the way of publishing until that is confirmed."""
    shell = signed_in
    rows = "".join(f"ada{n}@example.org,{n}.50,+44 20 7946 0{n:03}\n" for n in range(40))
    (shell.home / "guests.csv").write_text(f"email,spent,phone\n{rows}")
    said = shell.run("datasets", "upload", "guests.csv")
    assert "email: e-mail addresses (confidence 0.99" in said
    assert "phone: phone numbers (confidence" in said
    columns = {
        column["name"]: column.get("personal_data", "")
        for column in shell.json("datasets", "show", "guests")["columns"]
    }
    assert columns == {"email": "email", "spent": "", "phone": "phone_number"}
    assert "email: e-mail addresses" in shell.run("datasets", "stats", "guests")

    refused = shell.run("datasets", "update", "guests", "--visibility", "public", code=exit_codes.NOT_POSSIBLE)
    assert "--confirm-personal-data" in refused
    wrong = shell.run("datasets", "update", "guests", "--personal-data", "email=mail", code=exit_codes.USAGE)
    assert "must be one of email, phone_number" in wrong
    corrections = ["--personal-data", "email=none", "--locale", "phone=de_DE"]
    said = shell.run("datasets", "update", "guests", *corrections)
    assert "email: nothing personal (said by its owner)" in said
    assert "phone: phone numbers (said by its owner, de_DE)" in said
    assert "public" in shell.run("datasets", "update", "guests", "--visibility", "public", "--confirm-personal-data")


def test_ctrl_c_leaves_the_job_running(signed_in: Shell, flights: pd.DataFrame) -> None:
    """Ctrl-C stops the watching and says how to watch again or cancel; the job goes on until it is cancelled."""
    shell = signed_in
    flights.to_csv(shell.home / "flights.csv", index=False)
    shell.run("datasets", "upload", "flights.csv")
    watching = subprocess.Popen(
        shell.command("generate", "flights", "--epochs", "500", "--watch"),
        env=shell.environment,
        cwd=shell.home,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stderr is not None
    while "Training" not in watching.stderr.readline():
        assert watching.poll() is None
    watching.send_signal(signal.SIGINT)
    _, messages = watching.communicate(timeout=60)
    assert watching.returncode == exit_codes.INTERRUPTED
    assert "mirage jobs watch" in messages
    assert "Traceback" not in messages
    (job,) = shell.json("jobs", "list")
    assert job["state"] == "JOB_STATE_TRAINING"
    shell.run("jobs", "cancel", job["job_id"])
    shell.run("jobs", "watch", job["job_id"], code=exit_codes.ENDED_BADLY)
    shell.run("jobs", "rm", "latest", "--yes")


def test_what_is_uploaded_to_be_judged_is_gone_whatever_happens(signed_in: Shell, flights: pd.DataFrame) -> None:
    """Neither Ctrl-C while a file is sent, read or judged nor an error leaves what `evaluate` has uploaded."""
    shell = signed_in
    flights.to_csv(shell.home / "flights.csv", index=False)
    flights.to_csv(shell.home / "made.csv", index=False)
    shell.run("datasets", "upload", "flights.csv")
    for stage in ("uploading", "made", "ready"):
        judging = subprocess.Popen(
            shell.command("evaluate", "--dataset", "flights", "--table", "made.csv"),
            env=shell.environment,
            cwd=shell.home,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert judging.stderr is not None
        while stage not in judging.stderr.readline():
            assert judging.poll() is None
        judging.send_signal(signal.SIGINT)
        _, messages = judging.communicate(timeout=60)
        assert judging.returncode == exit_codes.INTERRUPTED
        assert "Traceback" not in messages
        assert [each["name"] for each in shell.json("datasets", "list")] == ["flights"]
    (shell.home / "other.csv").write_text("colour,size\nred,1\nblue,2\n")
    said = shell.run("evaluate", "--dataset", "flights", "--table", "other.csv", code=exit_codes.USAGE)
    assert "without any of the dataset's columns" in said
    (shell.home / "broken.csv").write_bytes(b"\x00\x01")
    files = ["--table", "made.csv", "--holdout", "broken.csv"]
    assert "no table" in shell.run("evaluate", "--dataset", "flights", *files, code=exit_codes.ENDED_BADLY)
    assert [each["name"] for each in shell.json("datasets", "list")] == ["flights"]


def test_first_administrator(platform: PlatformForTests, shell: Shell, email: str) -> None:
    """Whoever has the platform's own directory makes its first administrator, without being one."""
    shell.environment["MIRAGE_HOME"] = str(platform.platform.home.path)
    password = "another good passphrase\n"
    told = shell.run("admin", "create", "--here", "--email", email, "--password-stdin", standard_input=password)
    assert email in told
    shell.run("login", email, "--password-stdin", standard_input=password)
    assert shell.json("whoami")["role"] == "administrator"


def test_file_that_is_no_table(signed_in: Shell) -> None:
    """A file that can't be read as a table is refused with the reason, and nothing of it is left behind."""
    (signed_in.home / "picture.csv").write_bytes(bytes(range(256)) * 10)
    messages = signed_in.run("datasets", "upload", "picture.csv", code=exit_codes.ENDED_BADLY)
    assert "is no table" in messages
    assert signed_in.json("datasets", "list") == []


def test_administrators_commands(
    shell: Shell, platform: PlatformForTests, signed_in: Shell, email: str, tmp_path: Path
) -> None:
    """A user is refused and told who may; an administrator lists and makes accounts."""
    assert "make admin" in signed_in.run("admin", "create", "-e", "x@example.org", code=exit_codes.NOT_ALLOWED)
    root = f"root-{email}"
    password = platform.make_administrator(root)
    administrator = Shell(platform.url, tmp_path / "administrator")
    administrator.home.mkdir()
    administrator.run("login", root, "--password-stdin", standard_input=f"{password}\n")
    assert email in administrator.run("admin", "users", "--text", email)
    new = f"new-{email}"
    made = administrator.json(
        "admin", "create", "--email", new, "--password-stdin", standard_input="another good passphrase\n"
    )
    assert isinstance(made, dict)
    assert (made["email"], made["role"]) == (new, "administrator")
    administrator.run("admin", "deactivate", new)
    assert "inactive" in administrator.run("admin", "show", new)
    administrator.run("admin", "rm", new, "--yes")
    assert isinstance(administrator.json("admin", "requests"), list)


def test_of_what_one_is_told(signed_in: Shell) -> None:
    """What somebody is told of is shown and switched off and on, by kind and way; an unknown kind is refused."""
    off = signed_in.json("notifications", "off", "job_ended", "--email")
    [job_ended] = [each for each in off["kinds"] if each["kind"] == "job_ended"]
    assert (job_ended["enabled"], job_ended["email"]) == (True, False)
    assert "no" in signed_in.run("notifications", "off", "job_ended")
    on = signed_in.json("notifications", "on", "job_ended", "--email")
    [job_ended] = [each for each in on["kinds"] if each["kind"] == "job_ended"]
    assert (job_ended["enabled"], job_ended["email"]) == (False, True)
    assert isinstance(signed_in.json("notifications", "list"), list)
    assert "marked as read" in signed_in.run("notifications", "read")
    signed_in.run("notifications", "off", "weather", code=exit_codes.USAGE)
