"""A storage's key is rotated while a process runs: its next run uses the new one, without being started again."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from cloudsync_pipeline.definitions import assemble
from cloudsync_tests.cli.builders import a_place
from cloudsync_tests.e2e.builders import Bucket, into_folder
from cloudsync_tests.servers import running_seaweedfs


def mounted(folder: Path, generation: str, **secrets: str) -> None:
    """Secrets as Kubernetes mounts and replaces them: all at once, by pointing a link elsewhere."""
    (folder / generation).mkdir(parents=True)
    for name, text in secrets.items():
        (folder / generation / name).write_text(text)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(Path("..data") / name)
    (folder / "next").symlink_to(generation)
    (folder / "next").replace(folder / "..data")


def test_the_next_run_of_the_same_process_uses_a_rotated_key(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    place = a_place(tmp_path, f"secrets: {{folder: {secrets}}}\n")
    with running_seaweedfs() as storage, dg.DagsterInstance.ephemeral() as instance:
        bucket = Bucket(storage.server, storage.server.new_bucket(), storage.server.client())
        bucket.put("a.txt", b"alpha")
        section = bucket.as_yaml().replace(storage.server.secret_key, "${secret:key}")
        place.integration("acme", section + into_folder(tmp_path / "files"))
        instance.add_dynamic_partitions("integrations", ["acme"])
        # Loaded once, as a code location loads them.
        definitions = assemble(str(place.config))

        def succeeds(job: str) -> bool:
            resolved = definitions.resolve_job_def(job)
            return resolved.execute_in_process(instance=instance, partition_key="acme", raise_on_error=False).success

        mounted(secrets, "first", key=storage.server.secret_key)
        assert succeeds("initial_sync")
        rotated = storage.rotate("another-key-that-must-not-be-shown")
        Bucket(rotated, bucket.name, rotated.client()).put("b.txt", b"beta")
        assert not succeeds("reconcile")
        mounted(secrets, "second", key=rotated.secret_key)
        assert succeeds("reconcile")
    assert place.files("acme") == {"a.txt": "alpha", "b.txt": "beta"}
