"""Layers that change the shape."""
