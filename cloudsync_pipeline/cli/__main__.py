"""`python -m cloudsync_pipeline.cli` is `cloudsync`, without an installation."""

from cloudsync_pipeline.cli import main

if __name__ == "__main__":
    main()
