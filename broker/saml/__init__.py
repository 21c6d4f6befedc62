"""What a SAML identity means here: condition keys, what it asks of a session, the roles that it may choose."""
