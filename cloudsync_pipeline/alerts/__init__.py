"""Tells people which integrations are not well, once per change, by webhook and by e-mail. Knows no Dagster.

`conditions` says what is wrong with an integration, `changes` what of that is news, `texts` how it reads, `webhook`
and `mail` how it is delivered, `telling` does one round of all of it.
"""

from cloudsync_pipeline.alerts.conditions import Condition
from cloudsync_pipeline.alerts.telling import Outcome, channels, tell

__all__ = ["Condition", "Outcome", "channels", "tell"]
