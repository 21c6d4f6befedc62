"""Use cases of IAM: what administrators change and read."""
