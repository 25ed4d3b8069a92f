"""The servers that `benchmarks.serving` compares: maas, and what PyPI has."""
