"""The audit record: one event per call, durable before the answer."""
