"""Who is let in, for what, and how often."""

from __future__ import annotations

import pytest

from cloudsync_pipeline.api.keys import hash_of, new_key
from cloudsync_pipeline.api.rates import Rates
from cloudsync_pipeline.api.server import require_keys
from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_tests.api.builders import ADMIN, READER, SYNCER, Served, eventually, problem, serve
from cloudsync_tests.cli.builders import Place

CLOSED = ("/integrations", "/metrics", "/health", "/sync/status", "/runs/x", "/no-such-call")


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("header", [None, "Bearer nobody's", "Bearer ", f"Basic {READER}", f"bearer{READER}"])
def test_without_a_known_key_nothing_is_told(served: Served, path: str, header: str | None) -> None:
    answer = served.call("GET", path, key=None, headers={"Authorization": header} if header else {})
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/live", "/ready", "/openapi.json", "/docs", "/docs/assets/swagger-ui.css"])
def test_probes_and_the_description_are_open(served: Served, path: str) -> None:
    assert served.call("GET", path, key=None).status_code == 200


def test_a_hash_is_no_key(served: Served) -> None:
    problem(served.call("GET", "/integrations", key=hash_of(ADMIN)), 401, "unauthorized")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/integrations", {READER, ADMIN}),
        ("GET", "/metrics", {READER, ADMIN}),
        ("POST", "/sync/initial", {SYNCER, ADMIN}),
        ("POST", "/integrations/photos/events", {SYNCER, ADMIN}),
        ("POST", "/integrations/photos/plan/approve", {ADMIN}),
        ("POST", "/integrations/photos/plan/reject", {ADMIN}),
    ],
)
def test_a_key_may_do_what_its_scopes_say(served: Served, method: str, path: str, allowed: set[str]) -> None:
    body = {"integration": "photos"} if path.startswith("/sync") else {"plan_id": "no such plan"}
    for key in (READER, SYNCER, ADMIN):
        answer = served.call(method, path, key=key, **({"json": body} if method == "POST" else {}))
        if key in allowed:
            assert answer.status_code not in {401, 403}
        else:
            document = problem(answer, 403, "forbidden")
            assert "scope" in document["detail"]
            assert document["remedy"]


def test_a_new_key_is_long_random_and_known_by_its_hash_alone() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) >= len("cloudsync_") + 43 for key in keys)
    assert all(key not in hash_of(key) for key in keys)


def test_a_key_that_is_taken_out_of_the_configuration_stops_working(place: Place) -> None:
    place.config.write_text(f"database: {{path: state}}\napi: {{keys: 'a=read={hash_of(READER)}'}}\n")
    with serve(place, local_only=True) as served:
        assert served.call("GET", "/integrations", key=READER).status_code == 200
        place.config.write_text(f"database: {{path: state}}\napi: {{keys: 'b=read={hash_of(SYNCER)}'}}\n")
        eventually(lambda: served.call("GET", "/integrations", key=READER).status_code != 200)
        problem(served.call("GET", "/integrations", key=READER), 401, "unauthorized")
        assert served.call("GET", "/integrations", key=SYNCER).status_code == 200


# --- without keys -------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.0.2.1", "files.example.com"])
def test_without_keys_it_listens_on_this_host_alone(place: Place, host: str) -> None:
    settings = load_fleet(place.config).settings
    with pytest.raises(ConfigError, match="no keys are configured") as caught:
        require_keys(settings, host)
    assert "cloudsync api-key" in str(caught.value)
    for here in ("127.0.0.1", "127.0.0.2", "::1", "localhost"):
        require_keys(settings, here)


def test_without_keys_only_programs_of_this_host_are_let_in(place: Place) -> None:
    with serve(place, local_only=True) as served:
        assert served.call("GET", "/integrations", key=None).status_code == 200
        for header in (
            {"Host": "rebound.example.com"},
            {"Origin": "https://page.example.com"},
            {"X-Forwarded-For": "192.0.2.1"},
            {"Forwarded": "for=192.0.2.1"},
        ):
            problem(served.call("GET", "/integrations", key=None, headers=header), 403, "not-local")


def test_keys_that_vanish_while_others_can_reach_it_let_nobody_in(place: Place) -> None:
    with serve(place, local_only=False) as served:
        problem(served.call("GET", "/integrations", key=None), 401, "unauthorized")


# --- how often ----------------------------------------------------------------------------------


def test_who_sends_too_much_is_told_when_to_go_on(place: Place) -> None:
    keys = f"a=read={hash_of(READER)} b=read={hash_of(SYNCER)}"
    place.config.write_text(
        f"database: {{path: state}}\napi: {{keys: '{keys}', burst: 5, requests_per_second: 0.001}}\n"
    )
    with serve(place, local_only=False) as served:
        codes = [served.call("GET", "/live", key=READER).status_code for _ in range(6)]
        assert codes == [200] * 5 + [429]
        refused = served.call("GET", "/integrations", key=READER)
        problem(refused, 429, "too-many-requests")
        assert 1 <= int(refused.headers["retry-after"]) <= 1000
        # Another key has a bucket of its own, and so have addresses, which guessing of keys counts for.
        assert served.call("GET", "/live", key=SYNCER).status_code == 200
        guesses = [served.call("GET", "/integrations", key=f"guess {n}").status_code for n in range(6)]
        assert guesses == [401] * 5 + [429]


def test_a_bucket_fills_again_and_never_beyond_its_size() -> None:
    now = 0.0
    rates = Rates(clock=lambda: now)

    def takes() -> int:
        return sum(rates.take("a", per_second=2, burst=3) == 0 for _ in range(10))

    assert takes() == 3
    now = 1.0
    assert takes() == 2
    now = 1_000.0
    assert takes() == 3
    assert rates.take("a", per_second=2, burst=3) == pytest.approx(0.5)
