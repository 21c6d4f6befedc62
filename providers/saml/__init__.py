"""SAML 2.0 responses."""
