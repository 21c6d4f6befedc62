"""Evidence -> ExternalIdentity. Knows no roles, no ARNs, no web framework and no database."""
