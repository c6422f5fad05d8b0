"""What every test shares: hypothesis judges answers, and never how long the machine took."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("llamawire", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("llamawire")
