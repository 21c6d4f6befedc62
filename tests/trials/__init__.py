"""Long trials: ``bin/trial NAME``. The test suite runs a short form of each."""
