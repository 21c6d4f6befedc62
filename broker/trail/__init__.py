"""The audit record for callers, as CloudTrail has it: an account reads its own events."""
