"""Sensors: new integrations, runs that failed, were canceled or died, integrations that are overdue; alerts."""
