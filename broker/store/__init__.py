"""Durable objects: SQLAlchemy Core over SQLite and PostgreSQL."""
