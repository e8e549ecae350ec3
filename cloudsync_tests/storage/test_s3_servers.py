"""What only a real server shows."""

from __future__ import annotations

import gzip
import hashlib

import pytest

from cloudsync_pipeline.core.errors import AccessDenied, ContainerNotFound
from cloudsync_pipeline.storage.base import Storage
from cloudsync_pipeline.storage.s3 import S3Storage
from cloudsync_pipeline.storage.s3.reading import SMALL
from cloudsync_tests.contracts.subject import content_of, rows_of, with_storage
from cloudsync_tests.servers import S3Server
from cloudsync_tests.storage.subjects import send

FOLDERS = ("2025/01", "2025/02", "2026/01", "plain & simple/a+b")


@pytest.fixture(scope="module")
def large_bucket(seaweedfs: S3Server) -> str:
    """More than three pages of objects, in nested folders and beside them."""
    bucket = seaweedfs.new_bucket()
    keys = [f"{FOLDERS[n % len(FOLDERS)]}/object {n:04}" for n in range(3200)] + ["beside", "2025", "2026-notes"]
    send(seaweedfs, bucket, "PUT", {key: key.encode() for key in keys})
    return bucket


@pytest.mark.parametrize("parallelism", [1, 4])
def test_a_large_listing_equals_boto3s(seaweedfs: S3Server, large_bucket: str, parallelism: int) -> None:
    pages = seaweedfs.client().get_paginator("list_objects_v2").paginate(Bucket=large_bucket)
    expected = {each["Key"]: (each["Size"], each["ETag"].strip('"')) for page in pages for each in page["Contents"]}

    rows = rows_of(S3Storage(seaweedfs.settings(large_bucket, listing_parallelism=parallelism)))

    assert len(rows) == len(expected) == 3203
    assert {row["key"]: (row["size"], row["etag"]) for row in rows} == expected


def test_a_large_folder_of_it_is_listed_alone(seaweedfs: S3Server, large_bucket: str) -> None:
    rows = rows_of(S3Storage(seaweedfs.settings(large_bucket, prefix="2025")))

    assert len(rows) == 1600
    assert {row["key"][:3] for row in rows} == {"01/", "02/"}


def test_compressed_objects_come_as_they_are_stored(seaweedfs: S3Server) -> None:
    bucket, packed = seaweedfs.new_bucket(), gzip.compress(b"content" * 100)
    seaweedfs.client().put_object(Bucket=bucket, Key="k.gz", Body=packed, ContentEncoding="gzip")

    content = with_storage(S3Storage(seaweedfs.settings(bucket)), lambda storage: content_of(storage, "k.gz"))

    assert content == packed


@pytest.mark.parametrize(("size", "at_once"), [(0, True), (1, True), (SMALL, True), (SMALL + 1, False)])
def test_a_small_object_is_there_at_once(seaweedfs: S3Server, size: int, at_once: bool) -> None:
    bucket = seaweedfs.new_bucket()
    content = bytes(number % 251 for number in range(size))
    send(seaweedfs, bucket, "PUT", {"object": content})

    async def read(storage: Storage) -> bytes | None:
        async with storage.read("object") as body:
            return body.content

    storage = S3Storage(seaweedfs.settings(bucket))
    assert with_storage(storage, read) == (content if at_once else None)


def test_the_etag_of_an_object_in_several_parts_is_no_fingerprint(seaweedfs: S3Server) -> None:
    bucket, client, content = seaweedfs.new_bucket(), seaweedfs.client(), b"x" * (5 << 20)
    upload = client.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    parts = []
    for number in (1, 2):
        part = client.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=number, Body=content)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    client.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})

    found = with_storage(S3Storage(seaweedfs.settings(bucket)), lambda storage: storage.head("k"))

    assert found.etag.endswith("-2")
    assert found.fingerprint is None


def test_a_large_object_has_the_fingerprint_of_its_content(seaweedfs: S3Server) -> None:
    bucket, content = seaweedfs.new_bucket(), bytes(range(256)) * 40_000
    seaweedfs.client().put_object(Bucket=bucket, Key="k", Body=content)

    found = with_storage(S3Storage(seaweedfs.settings(bucket)), lambda storage: storage.head("k"))

    assert found.fingerprint is not None
    assert found.fingerprint.value == hashlib.md5(content).hexdigest()


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret_key": "wrong"},
        {"access_key": "unknown"},
        {"access_key": None, "secret_key": None, "anonymous": True},
    ],
)
def test_wrong_credentials_are_denied_for_every_call(seaweedfs: S3Server, wrong: dict[str, object]) -> None:
    bucket = seaweedfs.new_bucket()
    seaweedfs.client().put_object(Bucket=bucket, Key="k", Body=b"x")

    for use in (
        lambda storage: storage.health(),
        lambda storage: storage.head("k"),
        lambda storage: storage.head("missing"),
        lambda storage: content_of(storage, "k"),
        lambda storage: anext(storage.list()),
    ):
        with pytest.raises(AccessDenied) as caught:
            with_storage(S3Storage(seaweedfs.settings(bucket, **wrong)), use)
        assert caught.value.remedy
        assert seaweedfs.secret_key not in str(caught.value)


@pytest.mark.parametrize("server", ["seaweedfs", "moto"])
def test_a_bucket_that_is_removed_in_between_is_told(server: str, request: pytest.FixtureRequest) -> None:
    running: S3Server = request.getfixturevalue(server)
    bucket = running.new_bucket()

    async def look(storage: S3Storage) -> None:
        await storage.health()
        running.client().delete_bucket(Bucket=bucket)
        for use in (storage.health(), storage.head("k")):
            with pytest.raises(ContainerNotFound):
                await use

    with_storage(S3Storage(running.settings(bucket)), look)  # type: ignore[arg-type]


def test_a_delete_marker_is_absence_and_a_version_has_its_id(moto: S3Server) -> None:
    bucket, client = moto.new_bucket(), moto.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = client.put_object(Bucket=bucket, Key="kept", Body=b"x")["VersionId"]
    client.put_object(Bucket=bucket, Key="gone", Body=b"x")
    client.delete_object(Bucket=bucket, Key="gone")

    assert [row["key"] for row in rows_of(S3Storage(moto.settings(bucket)))] == ["kept"]
    found = with_storage(S3Storage(moto.settings(bucket)), lambda storage: storage.head("kept"))
    assert found.version_id == version
