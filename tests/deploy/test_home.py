"""MIRAGE_HOME: who may look in, what is kept, and that only one platform uses it."""

from pathlib import Path

import pytest

from deploy.local.credentials import kept_credentials
from deploy.local.home import AlreadyRunning, Home, RunningPlatform
from deploy.local.sockets import DirectoryNotOurs, make_private, short_directory


def test_directories_are_private(tmp_path: Path) -> None:
    """Nobody but the owner can enter MIRAGE_HOME's directories, also where they were open before."""
    home = Home(tmp_path / "home")
    (tmp_path / "home" / "secrets").mkdir(parents=True, mode=0o755)
    home.make()
    for directory in (home.path, home.data, home.logs, home.secrets, home.run):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_logs_are_private(tmp_path: Path) -> None:
    """A log that others could read is made private."""
    home = Home(tmp_path)
    home.make()
    (home.logs / "auth.log").touch(0o644)
    home.make()
    assert (home.logs / "auth.log").stat().st_mode & 0o777 == 0o600


def test_second_platform_is_refused(tmp_path: Path) -> None:
    """A second platform on the same MIRAGE_HOME is told where the first one runs, and what to set."""
    home = Home(tmp_path)
    with home.locked():
        home.announce(RunningPlatform(123, "http://127.0.0.1:8080"))
        with pytest.raises(AlreadyRunning, match=r"http://127.0.0.1:8080 \(process 123\).*MIRAGE_HOME"), home.locked():
            pytest.fail("it got the lock")
    with home.locked():
        assert home.running_platform() is None  # what the first one told of itself is forgotten


def test_refused_platform_touches_nothing(tmp_path: Path) -> None:
    """A start that is refused leaves the directories of the one that runs as they are."""
    home = Home(tmp_path)
    with home.locked():
        home.data.chmod(0o711)  # as for an account that PostgreSQL runs as
        with pytest.raises(AlreadyRunning), home.locked():
            pytest.fail("it got the lock")
        assert home.data.stat().st_mode & 0o777 == 0o711


def test_credentials_are_made_once(tmp_path: Path) -> None:
    """Secrets are made on first start, private, all different, and the same ever after; a new service gets its own."""
    first = kept_credentials(tmp_path / "secrets", ("auth", "dataset"))
    later = kept_credentials(tmp_path / "secrets", ("auth", "dataset", "newcomer"))
    assert later.postgres_administrator == first.postgres_administrator
    assert later.object_store == first.object_store
    assert {name: later.postgres[name] for name in first.postgres} == first.postgres
    assert {name: later.services[name] for name in first.services} == first.services
    made = [later.postgres_administrator, later.object_store, *later.postgres.values(), *later.services.values()]
    assert len(set(made)) == len(made) == 8
    assert later.signing_keys.stat().st_mode & 0o777 == 0o700
    for file in (tmp_path / "secrets").glob("*.json"):
        assert file.stat().st_mode & 0o777 == 0o600


def test_credentials_show_no_secret(tmp_path: Path) -> None:
    """Printing the credentials, in a trace for example, prints none of them."""
    credentials = kept_credentials(tmp_path, ("auth",))
    shown = repr(credentials)
    assert credentials.object_store not in shown
    assert credentials.postgres["auth"] not in shown
    assert credentials.services["auth"] not in shown


def test_sockets_of_a_deep_home(tmp_path: Path) -> None:
    """Where MIRAGE_HOME's path is too long for sockets they are elsewhere: short, private and found again."""
    deep = tmp_path / ("d" * 100)
    assert short_directory(tmp_path) == tmp_path
    assert len(str(short_directory(deep))) < 80
    assert short_directory(deep) == short_directory(deep)
    assert short_directory(deep) != short_directory(deep / "other")


def test_directory_of_somebody_else(tmp_path: Path) -> None:
    """A private directory that somebody else prepared, by a link here, is not used."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "trap").symlink_to(tmp_path / "theirs")
    with pytest.raises(DirectoryNotOurs):
        make_private(tmp_path / "trap")
