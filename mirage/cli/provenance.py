"""`mirage provenance` and `mirage audit …`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from mirage.cli import output
from mirage.cli.session import Session, command
from mirage.errors import InvalidRequest

if TYPE_CHECKING:
    from mirage.audit.document import DocumentVerdict
    from mirage.audit.signing import Keys
    from mirage.records.provenance import LogVerdict, ProvenanceFields, ProvenanceRecord, ProvenanceVerdict

app = typer.Typer(help="Check the platform's log, or what was exported of it.", no_args_is_help=True)

_NOT_INTACT = 1
# Attributes that say most about a record, where it has them.
_TELLING = (
    "source_sha256", "model_sha256", "table_sha256", "rows", "model_type", "engine", "seed", "format", "quality_score",
)  # fmt: skip
_SHOWN_FACTS = 6
_SHOWN_CHARACTERS = 16


def add_to(main: typer.Typer) -> None:
    """Adds the commands that stand alone."""
    main.command(rich_help_panel="Generation")(command(provenance))


def provenance(
    session: Session,
    object_id: Annotated[
        str, typer.Argument(metavar="ID", help="A job, table, model, report, dataset or study.", show_default=False)
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the records with their proofs as a signed JSON file, to be checked "
            "by `mirage audit verify FILE`: a file, or a directory for it.",
        ),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Have the platform check the records, and its log.")] = False,
) -> None:
    """Show where a synthetic table came from: upload, job, model, table, report, downloads."""
    found = session.client.provenance(object_id)
    if to is not None:
        path = found.export(to)
        session.output.result(
            {"path": str(path), "records": len(found.records)},
            lambda: f"Wrote {path} ({len(found.records)} records). Anybody checks it with: mirage audit verify {path}",
        )
        return
    verdict = found.verify() if verify else None
    value = found.to_dict() | ({"verdict": verdict.to_dict()} if verdict is not None else {})
    session.output.result(value, lambda: _chain(found, verdict))
    if verdict is not None and not verdict.intact:
        raise typer.Exit(_NOT_INTACT)


@app.command()
@command
def verify(
    session: Session,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="What `mirage provenance --output` wrote; the whole log if absent.",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            "--key",
            help="What to trust: a file with the platform's public keys (`mirage audit keys`), or the id of its key. "
            "If absent, the keys in FILE itself.",
        ),
    ] = "",
) -> None:
    """Check an exported file without any network; or, as an administrator, the platform's whole log.

    Exits with 1 where something was changed, and names the first bad record.
    """
    if file is not None:
        _verify_file(session, file, key)
        return
    if key:
        raise InvalidRequest("--key is for checking a FILE.", reason="INVALID_OPTION")
    verdict = session.client.admin.verify_log()
    session.output.result(verdict.to_dict(), lambda: _verdict(verdict))
    if not verdict.intact:
        raise typer.Exit(_NOT_INTACT)


@app.command()
@command
def keys(
    session: Session,
    to: Annotated[Path | None, typer.Option("--output", "-o", help="A file to write them to.")] = None,
) -> None:
    """Get the public keys that the log is signed with; an auditor keeps them, and trusts no others."""
    key_set = session.client.audit_keys()
    if to is not None:
        to.write_text(json.dumps(key_set, indent=2) + "\n")
        ids = [key["kid"] for key in key_set["keys"]]
        session.output.result({"path": str(to), "keys": ids}, lambda: f"Wrote {to} ({', '.join(ids)}).")
        return
    print(json.dumps(key_set, indent=2))


def _verify_file(session: Session, file: Path, key: str) -> None:
    from mirage.audit import document, signing

    text = file.read_bytes()
    try:
        trusted = _trusted(text, key)
        verdict = document.check(text, trusted)
    except (document.NoDocument, signing.UnusableKeys) as error:
        raise InvalidRequest(str(error), reason="INVALID_FILE") from None
    if not key:
        session.output.note(
            "Warning: no --key was given, so the keys in the file itself are taken. That shows that the file is of one "
            "piece, not that it is the platform's: whoever forges a file signs it with a key of their own."
        )
    value = {
        "intact": verdict.intact,
        "object_id": verdict.object_id,
        "issued_time": verdict.issued_time,
        "key_id": verdict.key_id,
        "key_trusted": bool(key),
        "records": len(verdict.records),
        "first_bad_seq": verdict.bad_seq,
        "description": verdict.fault,
    }
    session.output.result(value, lambda: _document(verdict, trusted=bool(key)))
    if not verdict.intact:
        raise typer.Exit(_NOT_INTACT)


def _trusted(text: bytes, key: str) -> "Keys":
    """The keys to go by: those of a file, the one in the document with an id that is known, or all in the document."""
    from mirage.audit import document, signing

    if key and Path(key).exists():
        return signing.parsed_keys(Path(key).read_bytes())
    enclosed = document.enclosed_keys(text)
    if not key:
        return enclosed
    if len(key) != signing.KEY_ID_LENGTH:
        raise InvalidRequest(f"--key: {key} is neither a file nor a key's id.", reason="INVALID_OPTION")
    return {name: each for name, each in enclosed.items() if name == key}


def _chain(found: "ProvenanceFields", verdict: "ProvenanceVerdict | None") -> RenderableType:
    drawn = output.table(
        ["#record", "stage", "what", "when", "object", "facts"],
        [
            (each.seq, each.stage, each.kind, output.when(each.occurred_time), each.object_id, _facts(each))
            for each in found.records
        ],
    )
    more = [] if found.complete else [f"These are the first {len(found.records)}; there are more."]
    return Group(drawn, *more, *(["", _verdict(verdict.log)] if verdict is not None else []))


def _facts(record: "ProvenanceRecord") -> str:
    known: Mapping[str, Any] = record.attributes
    told = [f"{name} {_short(known[name])}" for name in _TELLING if known.get(name) not in (None, "")]
    return ", ".join([*map(str, record.personal.values()), *told][:_SHOWN_FACTS])


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _verdict(verdict: "LogVerdict") -> RenderableType:
    return output.facts(
        [
            ("log", _judged(verdict.intact)),
            ("first bad record", _bad(verdict)),
            ("what is wrong", verdict.description),
            ("records", f"{verdict.records:,} right, {verdict.signed_records:,} of them signed"),
            ("checkpoints", f"{verdict.checkpoints:,}"),
        ]
    )


def _bad(verdict: "LogVerdict") -> str:
    if verdict.intact:
        return ""
    if verdict.last_possible_seq > verdict.first_bad_seq:
        return f"one of {verdict.first_bad_seq} to {verdict.last_possible_seq}"
    return str(verdict.first_bad_seq)


def _document(verdict: "DocumentVerdict", *, trusted: bool) -> RenderableType:
    return output.facts(
        [
            ("file", _judged(verdict.intact)),
            ("first bad record", str(verdict.bad_seq or "")),
            ("what is wrong", verdict.fault),
            ("object", verdict.object_id),
            ("issued", verdict.issued_time),
            ("records", len(verdict.records) if verdict.intact else ""),
            (
                "signed with",
                f"{verdict.key_id}{'' if trusted else ' (from the file itself)'}" if verdict.key_id else "",
            ),
        ]
    )


def _judged(intact: bool) -> Text:
    return Text("intact", "green") if intact else Text("NOT INTACT", "bold red")
