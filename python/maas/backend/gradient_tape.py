"""`GradientTape`: gradients inside a training step."""

from maas import _core, tree


class GradientTape:
    """Gives gradients of what is computed inside a trace, such as a `train_step` of one's own.

    The trace itself records the computation, so the tape watches everything and may be used any number of times.

    Args:
        persistent, watch_accessed_variables: accepted for programs written for TensorFlow; they change nothing.
    """

    def __init__(self, persistent=False, watch_accessed_variables=True):
        del persistent, watch_accessed_variables

    def __enter__(self):
        if not _core.is_tracing():
            raise RuntimeError(
                "GradientTape works inside a trace, such as train_step(self, data) of a compiled model, "
                "received a use outside"
            )
        return self

    def __exit__(self, *_):
        return None

    def watch(self, tensor):
        """Does nothing: every tensor is watched."""

    def gradient(self, target, sources):
        """Gradients of the sum of `target` for `sources`, nested like `sources`; None where it does not depend on one.

        Args:
            target: float Tensor, or nested Tensors, which are added.
            sources: Variable or Tensor, or nested ones.
        """
        total = None
        for leaf in tree.flatten(target):
            leaf = _core.sum(leaf, axis=[]) if len(leaf.shape) else leaf
            total = leaf if total is None else total + leaf
        return tree.pack_sequence_as(sources, _core.gradients(total, tree.flatten(sources)))
