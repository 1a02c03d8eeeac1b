"""Following logs."""

from pathlib import Path

from deploy.local.log_view import LogDirectory, LogFile


def test_only_new_and_whole_lines(tmp_path: Path) -> None:
    """What was there before is not shown again; a line is shown once, when it is complete."""
    path = tmp_path / "part.log"
    path.write_text("old\n")
    log = LogFile(path)
    with path.open("a") as file:
        file.write("new\nhal")
        file.flush()
        assert log.new_lines() == ["new"]
        file.write("f\n")
        file.flush()
        assert log.new_lines() == ["half"]
    assert log.new_lines() == []


def test_rotation(tmp_path: Path) -> None:
    """After a log is renamed away, its successor is followed from its begin."""
    path = tmp_path / "part.log"
    path.write_text("a long line of the first log\n")
    log = LogFile(path)
    path.rename(tmp_path / "part.log.1")
    assert log.new_lines() == []
    path.write_text("first of the second log\n")
    assert log.new_lines() == ["first of the second log"]


def test_logs_that_are_yet_to_come(tmp_path: Path) -> None:
    """A log that appears later is shown from its begin, each line behind the part's name."""
    (tmp_path / "early.log").write_text("old\n")
    logs = LogDirectory(tmp_path)
    (tmp_path / "late.log").write_text("hello\n")
    assert [line.split() for line in logs.new_lines()] == [["late", "|", "hello"]]
