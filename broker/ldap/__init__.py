"""What an LDAP identity means here: condition keys, and what its provider asks of the session."""
