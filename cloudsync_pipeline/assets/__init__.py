"""Assets and their checks: the data of each step of a sync, one partition an integration.

`bucket_listing` and `change_events` lead to `state_snapshot`, `state_diff`, `executed_operations` and
`sync_report`. Nothing passes between them in memory: each reads and writes the integration's lake.
"""
