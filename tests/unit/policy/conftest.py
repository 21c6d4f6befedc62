"""Hypothesis without its clock: the machine runs other tests at the same time."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("policy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("policy")
