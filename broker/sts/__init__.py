"""Use cases of the Security Token Service."""
