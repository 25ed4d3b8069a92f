"""Limits on gradients."""

from maas import ops


def clip_by_value(gradient, limit):
    """Every entry brought into [-limit, limit]."""
    return ops.clip(gradient, -limit, limit)


def clip_by_norm(gradient, limit):
    """The gradient scaled so that its L2 norm is at most `limit`."""
    norm = ops.sqrt(ops.sum(ops.square(gradient)))
    return gradient * limit / ops.maximum(norm, limit)


def global_norm(gradients):
    """L2 norm of all gradients taken as one vector."""
    total = None
    for g in gradients:
        square = ops.sum(ops.square(g))
        total = square if total is None else total + square
    return ops.sqrt(total)


def clip_by_global_norm(gradients, limit):
    """All gradients scaled by one factor so that their common norm is at most `limit`.

    A norm that is not finite gives NaN everywhere, so that a broken step cannot pass unseen.
    """
    norm = global_norm(gradients)
    scale = limit / ops.maximum(norm, limit) + (norm - norm)
    return [g * scale for g in gradients]
