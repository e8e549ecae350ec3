"""A real SeaweedFS tells the API of changes by its webhook, as docs/api.md configures it, and a sync follows them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import load_fleet
from cloudsync_tests.api.builders import KEYS, SYNCER, a_process, eventually
from cloudsync_tests.cli.builders import Place, a_place, forget_logging
from cloudsync_tests.e2e.builders import Bucket, into_folder
from cloudsync_tests.servers import seaweedfs, unused_port

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"


def documented(url: str) -> str:
    """The file that docs/api.md shows, with this address and this key."""
    text: str
    [text] = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert 'endpoint = "https://sync.example.com/integrations/photos/events"' in text
    return text.replace("https://sync.example.com", url).replace("cloudsync_0mP...", SYNCER)


def arrived(place: Place) -> set[tuple[str, str]]:
    """Kind and path of every event that waits."""
    with wiring.open_control(load_fleet(place.config).settings) as control:
        found = [json.loads(one.body) for one in control.inbox.oldest("photos", 1000)]
    return {(one["event_type"], one["key"]) for one in found}


def test_changes_in_a_bucket_arrive_and_are_followed(tmp_path: Path) -> None:
    port = unused_port()
    place = a_place(tmp_path, f"api: {{keys: '{KEYS}'}}\n")
    with seaweedfs(documented(f"http://127.0.0.1:{port}")) as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        bucket = Bucket(server, "photos", s3)
        for key in ("changed.txt", "deleted.txt"):
            bucket.put(key, b"old")
        place.integration("photos", bucket.as_yaml() + into_folder(tmp_path / "files") + "feed: {type: inbox}\n")
        assert place.run("initial-sync", "--direct").code == 0
        with a_process(place, "--port", str(port)):
            bucket.put("a b/ü.txt", b"new")
            bucket.put("changed.txt", b"changed")
            bucket.delete("deleted.txt")
            expected = {("create", "a b/ü.txt"), ("update", "changed.txt"), ("delete", "deleted.txt")}
            eventually(lambda: {(kind, f"/buckets/photos/{key}") for kind, key in expected} <= arrived(place))
        ran = place.run("incremental-sync", "--direct", "--json")
        forget_logging()
    assert ran.code == 0, ran.err
    assert place.files("photos") == {"a b/ü.txt": "new", "changed.txt": "changed"}
    # It followed the events: nothing was listed.
    [synced] = ran.json()["integrations"]
    assert synced["result"]["listing"] is None
