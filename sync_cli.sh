#!/bin/sh
# The cloudsync command in the containers of docker-compose.yml, from the host: sync_cli.sh status, sync_cli.sh files, ...
# In the running code location; where that is not running, in a container of its own that is gone afterwards.
set -eu
cd "$(dirname "$0")"

if ! command -v docker >/dev/null 2>&1; then
  echo "sync_cli.sh: docker is not installed, or not on the PATH." >&2
  echo "Without containers, use the command itself: .venv/bin/cloudsync $*" >&2
  exit 127
fi
if ! docker compose version >/dev/null 2>&1; then
  echo "sync_cli.sh: this docker has no 'compose': install Docker Compose 2." >&2
  exit 127
fi

# Without a terminal (cron, a pipe), compose must not ask for one.
terminal=
if ! [ -t 0 ] || ! [ -t 1 ]; then terminal=-T; fi

if [ -n "$(docker compose ps --quiet --status running code 2>/dev/null)" ]; then
  # shellcheck disable=SC2086 # it is one option, or none
  exec docker compose exec $terminal code cloudsync "$@"
fi
# shellcheck disable=SC2086 # it is one option, or none
exec docker compose run --rm --no-deps $terminal code cloudsync "$@"
