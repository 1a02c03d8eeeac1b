"""The embedded object store: what it keeps, and for whom."""

import io
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error

from deploy.local.object_store import EmbeddedObjectStore
from tests.support.object_store import running_object_store


def client(store: EmbeddedObjectStore, *, access_key: str | None = None, secret_key: str | None = None) -> Minio:
    """An S3 client with the store's keys, or others."""
    return Minio(
        store.endpoint,
        access_key=access_key or store.access_key,
        secret_key=secret_key or store.secret_key,
        secure=False,
        region=store.environment()["S3_REGION"],
    )


def test_objects_are_kept(tmp_path: Path) -> None:
    """What is put is got again, also after a restart, and by a signed URL."""
    with running_object_store(tmp_path) as store:
        client(store).make_bucket("mirage-dataset")
        client(store).put_object("mirage-dataset", "owner/table", io.BytesIO(b"rows"), 4)
    with running_object_store(tmp_path) as store:
        assert client(store).get_object("mirage-dataset", "owner/table").read() == b"rows"
        with urlopen(client(store).presigned_get_object("mirage-dataset", "owner/table")) as answer:  # noqa: S310
            assert answer.read() == b"rows"


@pytest.mark.parametrize("keys", [{"secret_key": "wrong-secret-key"}, {"access_key": "nobody"}])
def test_wrong_keys_are_refused(object_store: EmbeddedObjectStore, keys: dict[str, str]) -> None:
    """A wrong access or secret key opens nothing."""
    with pytest.raises((S3Error, InvalidResponseError, MinioException)):
        client(object_store, **keys).make_bucket("mirage-intruder")


def test_anonymous_is_refused(object_store: EmbeddedObjectStore) -> None:
    """Without keys nothing is shown."""
    with pytest.raises((S3Error, InvalidResponseError, MinioException)):
        Minio(object_store.endpoint, secure=False, region="us-east-1").list_buckets()


def test_secret_is_in_no_argument(object_store: EmbeddedObjectStore) -> None:
    """Other users of the machine, who can list its processes, see no secret."""
    arguments = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert any(object_store.endpoint in line for line in arguments)
    assert not any(object_store.secret_key in line for line in arguments)
