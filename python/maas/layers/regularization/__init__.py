"""Noise and dropout layers."""
