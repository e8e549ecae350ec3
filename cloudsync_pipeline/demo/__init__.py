"""A whole small world on one machine: an S3 storage, a file manager, sample data, and changes to it.

`cloudsync demo` runs through it once and compares both ends byte for byte; `cloudsync dev` leaves it running
beside Dagster. Nothing here knows the adapters: both ends are read by other means, so that a defect of ours
shows.
"""
