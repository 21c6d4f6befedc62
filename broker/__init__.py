"""Accredit: evidence -> identity -> decision -> credentials -> audit."""

__version__ = "0.1.0"
