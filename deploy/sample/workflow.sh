#!/bin/sh
# The sample from end to end, in containers of a project of its own: built, started, synced twice, compared, removed.
set -eu
cd "$(dirname "$0")/../.."
compose() { docker compose --project-name cloudsync-workflow --env-file deploy/sample/sample.env --profile sample "$@"; }
trap 'compose down --volumes --remove-orphans' EXIT

# Without Dagster's daemon: nothing but this script starts a sync.
compose up --build --detach --wait storage devserver code
compose run --rm sample-data
# Directly: the exit code is then the sync's own.
compose exec -T code cloudsync initial-sync --direct
compose exec -T code cloudsync incremental-sync --direct
compose exec -T code cloudsync verify --integration sample
compose exec -T code cloudsync status --integration sample
echo "the sample is in step"
