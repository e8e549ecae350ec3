"""Fills the bucket of the sample storage; content depends on nothing but the seed."""

from __future__ import annotations

import json
import os
from pathlib import Path

from cloudsync_pipeline.demo.sample import fill, samples
from cloudsync_pipeline.demo.seaweedfs import Credentials, client

BUCKET = "sample"
SEED = 1


def main() -> None:
    """Make the bucket where it is missing, and put every sample object."""
    keys = json.loads(Path(__file__).with_name("s3.json").read_text())["identities"][0]["credentials"][0]
    s3 = client(os.environ["SAMPLE_ENDPOINT"], Credentials(keys["accessKey"], keys["secretKey"]))
    if BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET)
    put = fill(s3, BUCKET, samples(SEED))
    print(f"{put:,} bytes put into the bucket {BUCKET!r}")


if __name__ == "__main__":
    main()
