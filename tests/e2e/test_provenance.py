"""Where a real table came from, asked as its maker, an auditor and a browser would."""

import hashlib
from pathlib import Path

import httpx
import pandas as pd
import pytest

from mirage import Client
from mirage.audit import document, signing
from mirage.errors import NotFound
from tests.e2e.conftest import PASSWORD
from tests.support.activity_log import told_once
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")


def test_from_upload_to_download(
    platform: PlatformForTests, client: Client, email: str, flights: pd.DataFrame, tmp_path: Path
) -> None:
    """The chain of a table holds the hashes of what was uploaded and downloaded, and its export proves it offline."""
    user_id = client.account.me().id
    dataset = client.datasets.upload(flights, name="flights")
    job = client.generate(dataset, "gaussian_copula", rows=20, progress=False)
    table = job.download(tmp_path / "table.parquet").read_bytes()
    job.report(tmp_path)
    told_once(platform, user_id, lambda told: {"table.downloaded", "report.viewed"} <= {each.kind for each in told})
    found = client.provenance(job.id)
    kinds = [record.kind for record in found.records]
    assert set(kinds) >= {
        "dataset.uploaded", "job.created", "job.started", "job.succeeded", "report.viewed", "table.downloaded",
    }  # fmt: skip
    by_kind = {record.kind: record for record in found.records}
    made = by_kind["job.succeeded"].attributes
    assert made["table_sha256"] == hashlib.sha256(table).hexdigest()
    assert by_kind["job.created"].attributes["source_sha256"] == by_kind["dataset.uploaded"].attributes["table_sha256"]
    assert made["seed"] == job.seed
    assert made["versions"]["mirage"]
    assert client.provenance(job.model.id).proto.records == found.proto.records
    verdict = found.verify()
    assert verdict, verdict.log.description
    keys = signing.parsed_keys(httpx.get(f"{platform.url}/.well-known/audit-keys.json").content)
    exported = found.export(tmp_path / "provenance.json").read_bytes()
    checked = document.check(exported, keys)
    assert checked.intact, checked.fault
    assert [record["kind"] for record in checked.records] == kinds
    _asked_by_http(platform, email, job.id, exported, keys)
    with Client(platform.url) as stranger:
        stranger.register(f"other-{email}", PASSWORD, "Bob")
        with pytest.raises(NotFound):
            stranger.provenance(job.id)


def _asked_by_http(platform: PlatformForTests, email: str, job_id: str, exported: bytes, keys: signing.Keys) -> None:
    with httpx.Client(base_url=platform.url) as http:
        login = http.post("/auth/login", json={"email": email, "password": PASSWORD}).json()["data"]
        http.headers["authorization"] = f"Bearer {login['access_token']}"
        chain = http.get(f"/api/v1/provenance/{job_id}").json()["data"]
        assert chain["object_id"] == job_id
        assert chain["records"][0]["signed"] is True
        verdict = http.get(f"/provenance/{job_id}/verify").json()["data"]
        assert (verdict["intact"], verdict["log"]["first_bad_seq"]) == (True, 0)
        answer = http.get(f"/provenance/{job_id}/export")
        assert answer.headers["content-type"] == "application/json"
        assert f"provenance-{job_id}.json" in answer.headers["content-disposition"]
        assert document.check(answer.content, keys).intact
        assert http.get("/provenance/none").json()["error"]["code"] == "PROVENANCE_NOT_FOUND"
        assert http.get("/admin/audit/verify").status_code == 403
