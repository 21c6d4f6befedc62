"""Requests and responses in AWS's protocols, driven by botocore's service models."""
