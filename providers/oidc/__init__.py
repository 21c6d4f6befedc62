"""OpenID Connect tokens."""
