"""Results shared by a DVC remote: pushed here, pulled into a fresh clone, and not computed again.

The remote is a local S3 server (moto).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import small_pipeline
from small_pipeline import commit, lidr, run

pytestmark = pytest.mark.pipeline

BUCKET = "lidr"
# moto accepts any; without them, credentials would be searched on the machine and in the network.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
}


@dataclass(frozen=True)
class Remote:
    """The addresses of a DVC remote and its server."""

    url: str
    endpoint: str


@pytest.fixture
def remote() -> Iterator[Remote]:
    boto3 = pytest.importorskip("boto3", reason="the extra `dev` has an S3 server")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in CREDENTIALS.items():
                patch.setenv(name, value)
            url = "http://{}:{}".format(*server.get_host_and_port())
            boto3.client("s3", endpoint_url=url).create_bucket(Bucket=BUCKET)
        yield Remote(f"s3://{BUCKET}/results", url)
    finally:
        server.stop()


def test_a_fresh_clone_has_everything_without_computing_it(reproduced: Path, tmp_path: Path, remote: Remote) -> None:
    first = small_pipeline.copy(reproduced, tmp_path / "first")
    run("dvc", "remote", "add", "--default", "shared", remote.url, cwd=first)
    run("dvc", "remote", "modify", "shared", "endpointurl", remote.endpoint, cwd=first)
    commit(first, "Share results")
    run("dvc", "push", cwd=first, **CREDENTIALS)

    run("git", "clone", "--quiet", str(first), "second", cwd=tmp_path)
    second = tmp_path / "second"
    assert not list((second / "models").glob("m*"))
    run("dvc", "pull", "--quiet", cwd=second, **CREDENTIALS)
    assert "Data and pipelines are up to date" in run("dvc", "repro", cwd=second, LIDR_TRACKING="off")
    assert run("git", "status", "--porcelain", cwd=second) == ""
    for name in ("models/m2/adapter_model.safetensors", "data/m2/pairs/pairs.jsonl", "reports/compare/index.html"):
        assert (second / name).read_bytes() == (first / name).read_bytes()
    lidr(second, "audit", "verify")
