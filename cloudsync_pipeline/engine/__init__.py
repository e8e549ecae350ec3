"""In which order a sync goes, and how much of it at once. Knows the contracts, no provider, no Dagster."""
