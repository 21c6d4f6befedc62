"""Use cases of policy analysis: Access Analyzer's calls."""
