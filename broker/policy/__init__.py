"""The policy language: pure functions, no I/O."""
