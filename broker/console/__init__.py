"""Administrators' pages: every form is one operation of the wire, with the same arguments, authorisation and events."""
