"""Benchmarks against the peers that are installed: `python -m benchmarks.<ops|models|training|serving>`."""
