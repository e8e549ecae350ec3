"""cloudsync_pipeline keeps a company's file manager in step with its customers' storage.

The rooms, innermost first. An import goes only to a room further up, never down or across:

    core            what things mean: records, events, fingerprints, rules, ordering, the delete guard
    transport       HTTP, one client for storages and one for all else: timeouts, TLS, proxies, request signing
    storage         how each storage vendor speaks
    feeds           how each event feed speaks
    file_managers   how each file manager speaks
    vaults          how each service that keeps secrets speaks
    lake            what is remembered of one integration (DuckLake)
    control         what is remembered of the fleet (SQL)
    engine          in which order: list, observe, plan, execute, sync
    config          what a person configured
    wiring          configuration to implementations
    alerts          tells people which integrations are not well
    backup          copies of what is remembered, and how they are put back
    resources       Dagster resources
    assets, sensors, jobs, schedules, partitions, launch    Dagster definitions
    definitions     assembly
    queue           requests for syncs that arrive as messages
    cli             the `cloudsync` command
    api             REST, health and metrics
    devserver       a small file manager of its own; imports nothing of the above
"""
