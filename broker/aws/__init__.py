"""All AWS wire."""
