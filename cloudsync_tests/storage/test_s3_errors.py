"""What an S3 server's refusal means."""

from __future__ import annotations

import pytest

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    BadAnswer,
    CloudSyncError,
    ContainerNotFound,
    NotFound,
    PreconditionFailed,
    Rejected,
    Throttled,
    Unavailable,
    Unreachable,
)
from cloudsync_pipeline.storage.s3.errors import MAPPED_CODES, S3Error, parse_error, s3_error

EXPECTED: dict[str, tuple[int, type[CloudSyncError]]] = {
    "AccessDenied": (403, AccessDenied),
    "AccountProblem": (403, AccessDenied),
    "AllAccessDisabled": (403, AccessDenied),
    "NotSignedUp": (403, AccessDenied),
    "InvalidAccessKeyId": (403, AccessDenied),
    "SignatureDoesNotMatch": (403, AccessDenied),
    "InvalidSecurity": (403, AccessDenied),
    "Unauthorized": (401, AccessDenied),
    "ExpiredToken": (400, AccessDenied),
    "TokenRefreshRequired": (400, AccessDenied),
    "InvalidToken": (400, AccessDenied),
    "RequestTimeTooSkewed": (403, AccessDenied),
    "RequestExpired": (400, AccessDenied),
    "NoSuchKey": (404, NotFound),
    "NoSuchVersion": (404, NotFound),
    "NoSuchBucket": (404, ContainerNotFound),
    "PreconditionFailed": (412, PreconditionFailed),
    "InvalidObjectState": (403, Rejected),
    "InvalidRange": (416, Rejected),
    "InvalidBucketName": (400, Rejected),
    "KeyTooLongError": (400, Rejected),
    "InvalidArgument": (400, Rejected),
    "NotImplemented": (501, Rejected),
    "SlowDown": (503, Throttled),
    "RequestLimitExceeded": (503, Throttled),
    "TooManyRequests": (429, Throttled),
    "Throttling": (400, Throttled),
    "ThrottlingException": (400, Throttled),
    "BandwidthLimitExceeded": (509, Throttled),
    "ServiceUnavailable": (503, Throttled),
    "InternalError": (500, Unavailable),
    "OperationAborted": (409, Unavailable),
    "ServerNotInitialized": (503, Unavailable),
    "RequestTimeout": (400, Unreachable),
    "PermanentRedirect": (301, Rejected),
    "TemporaryRedirect": (307, Rejected),
    "Redirect": (307, Rejected),
    "AuthorizationHeaderMalformed": (400, Rejected),
    "IllegalLocationConstraintException": (400, Rejected),
}


def document(code: str, more: str = "") -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>Why it is so</Message>{more}</Error>'.encode()


def error_of(status: int, body: bytes = b"", **headers: str) -> CloudSyncError:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return s3_error(status, body, sent, what="reading from bucket 'b'", key="k")


@pytest.mark.parametrize("code", EXPECTED)
def test_each_code_has_its_error(code: str) -> None:
    status, expected = EXPECTED[code]

    error = error_of(status, document(code))

    assert type(error) is expected
    assert error.key == "k"
    assert str(error).startswith("reading from bucket 'b'")


def test_every_code_that_is_known_is_tested() -> None:
    assert set(EXPECTED) == MAPPED_CODES


@pytest.mark.parametrize("code", [code for code, (_, kind) in EXPECTED.items() if kind is AccessDenied])
def test_denied_access_says_what_to_do(code: str) -> None:
    assert error_of(EXPECTED[code][0], document(code)).remedy


def test_a_wrong_clock_is_told_as_one() -> None:
    assert "clock" in str(error_of(403, document("RequestTimeTooSkewed")))


@pytest.mark.parametrize(
    "error",
    [
        error_of(400, document("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>")),
        error_of(301, document("PermanentRedirect"), x_amz_bucket_region="eu-west-1"),
        error_of(301, x_amz_bucket_region="eu-west-1"),
        error_of(307, b"<html>moved</html>", x_amz_bucket_region="eu-west-1"),
    ],
)
def test_a_wrong_region_names_the_right_one(error: CloudSyncError) -> None:
    assert type(error) is Rejected
    assert "Set region to eu-west-1" in str(error)


def test_a_wait_that_is_asked_for_is_passed_on() -> None:
    assert error_of(503, document("SlowDown"), Retry_After="9").retry_after == 9.0


@pytest.mark.parametrize("status", [404, 405])
def test_a_delete_marker_is_absence(status: int) -> None:
    assert type(error_of(status, x_amz_delete_marker="true")) is NotFound
    assert type(error_of(status, document("MethodNotAllowed"), x_amz_delete_marker="true")) in (NotFound, Rejected)
    assert type(error_of(405, document("MethodNotAllowed"), x_amz_delete_marker="true")) is NotFound


@pytest.mark.parametrize("body", [b"", b"<html><body>404 Not Found</body></html>", b"not xml", b"<Error></Error>"])
@pytest.mark.parametrize("status", [404, 410])
def test_a_404_that_no_s3_server_said_is_not_absence(status: int, body: bytes) -> None:
    error = error_of(status, body)

    assert type(error) is BadAnswer
    assert error.remedy


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (403, AccessDenied),
        (400, Rejected),
        (429, Throttled),
        (500, Unavailable),
        (503, Throttled),
        (412, PreconditionFailed),
    ],
)
def test_without_a_document_the_status_decides(status: int, expected: type[CloudSyncError]) -> None:
    assert type(error_of(status)) is expected


@pytest.mark.parametrize(
    ("status", "expected"), [(403, AccessDenied), (400, Rejected), (404, NotFound), (502, Unavailable)]
)
def test_an_unknown_code_goes_by_the_status_and_is_told(status: int, expected: type[CloudSyncError]) -> None:
    error = error_of(status, document("SomethingNew"))

    assert type(error) is expected
    assert "SomethingNew: Why it is so" in str(error)


def test_an_error_document_is_read_with_and_without_a_namespace() -> None:
    plain = parse_error(document("NoSuchKey", "<Region>r</Region>"))
    named = parse_error(b'<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>NoSuchKey</Code></Error>')

    assert plain == S3Error("NoSuchKey", "Why it is so", "r")
    assert named == S3Error("NoSuchKey")


def test_a_document_type_is_not_read() -> None:
    assert parse_error(b'<!DOCTYPE x [<!ENTITY e "NoSuchKey">]><Error><Code>&e;</Code></Error>') is None


def test_an_error_that_names_a_key_which_xml_cannot_hold_still_has_its_code() -> None:
    found = parse_error(b"<Error><Code>NoSuchKey</Code><Message>gone</Message><Key>ctl&#x1;x</Key></Error>")
    assert found is not None
    assert found.code == "NoSuchKey"
