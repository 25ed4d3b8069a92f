"""Calls of the engine's fused recurrent operations."""
