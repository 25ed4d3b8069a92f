"""`GradientTape`: gradients of what a block of code computes."""

from maas import _core, tree


class GradientTape:
    """Records what is computed inside `with` and gives its gradients.

    Outside traces it records the eager ops that depend on watched tensors and trainable Variables; values are there
    while it records. Ops keep their arrays until the tape is asked, or goes. Inside a trace, such as a `train_step` of
    one's own, the trace is the record: every tensor is watched, and the tape may be used any number of times.

    Args:
        persistent: bool, whether `gradient` may be called more than once.
        watch_accessed_variables: bool, whether Variables are watched when they are read.
    """

    def __init__(self, persistent=False, watch_accessed_variables=True):
        self._persistent, self._watches = persistent, watch_accessed_variables
        self._tape, self._recording, self._traced = None, False, False
        self._watched = []

    def __enter__(self):
        if self._recording:
            raise ValueError("GradientTape: the tape is recording already, received a second `with`")
        if _core.is_tracing():
            self._traced = True
            return self
        self._traced = False
        if self._tape is None:
            self._tape = _core.Tape(self._persistent, self._watches)
        self._start()
        return self

    def __exit__(self, *_):
        if self._recording:
            self._stop()

    def _start(self):
        self._tape.enter()
        self._recording = True
        _core.enter_call()  # models take no short cut: a program is no op that could be differentiated

    def _stop(self):
        _core.leave_call()
        self._recording = False
        self._tape.exit()

    def watch(self, tensor):
        """Record what is computed from a float tensor or Variable, or nested ones."""
        for x in tree.flatten(tensor):
            if not isinstance(x, (_core.Tensor, _core.Variable)):
                raise ValueError(f"GradientTape.watch: a Tensor or Variable is needed, received {type(x).__name__}")
            if not self._traced and self._need("watch"):
                self._tape.watch(x)
                self._watched.append(x)

    def _need(self, what):
        if self._tape is None:
            raise RuntimeError(f"GradientTape.{what}: the tape has recorded nothing, received a use before `with`")
        return True

    def reset(self):
        """Forget everything recorded."""
        if self._tape is not None:
            self._tape.reset()
            self._watched.clear()

    def stop_recording(self):
        """A context in which nothing is recorded."""
        return _Pause(self)

    def watched_variables(self):
        """The trainable Variables that were read, in the order of their first use."""
        self._need("watched_variables")
        return tuple(v for v in self._tape.variables() if getattr(v, "trainable", True))

    def gradient(self, target, sources, output_gradients=None, unconnected_gradients="none"):
        """Gradients of the sum of `target` for `sources`, nested like `sources`; None where it does not depend on one.

        Args:
            target: float Tensor, or nested Tensors, which are added.
            sources: Variable or Tensor, or nested ones.
            output_gradients: gradients of `target`, nested like it; default ones.
            unconnected_gradients: "none" or "zero", what stands for no dependence.

        Raises:
            RuntimeError: for a second call on a tape that is not persistent.
            ValueError: if shapes do not fit.
        """
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(
                f"GradientTape: unconnected_gradients must be 'none' or 'zero', received {unconnected_gradients!r}"
            )
        targets, flat = tree.flatten(target), tree.flatten(sources)
        dys = [None] * len(targets) if output_gradients is None else tree.flatten(output_gradients)
        targets, dys = _checked(targets, dys)
        symbolic = self._traced or any(getattr(t, "is_symbolic", False) for t in targets)
        found = _core.gradients_of(targets, dys, flat) if symbolic else self._recorded_gradients(targets, dys, flat)
        if unconnected_gradients == "zero":
            from maas import ops

            found = [ops.zeros_like(x) if g is None else g for x, g in zip(flat, found)]
        return tree.pack_sequence_as(sources, found)

    def _recorded_gradients(self, targets, dys, sources):
        self._need("gradient")
        if self._tape.used:
            raise RuntimeError(
                "a GradientTape gives gradients once unless it is made with persistent=True, received a second call"
            )
        known = [self._source(x) for x in sources]
        found = iter(self._tape.gradient(targets, dys, [x for x in known if x is not None]))
        return [None if x is None else next(found) for x in known]

    def _source(self, x):
        """A source as the tape knows it; None for what it does not watch."""
        x = getattr(x, "__maas_variable__", x)
        if isinstance(x, _core.Variable) and not x.trainable and all(w is not x for w in self._watched):
            return None
        return x if isinstance(x, (_core.Tensor, _core.Variable)) else None

    def jacobian(self, target, source):
        """d target[i] / d source[j], of shape `target.shape + source.shape`; one backward pass per element of target.

        The tape must be persistent.
        """
        from maas import ops

        if not self._persistent and not self._traced:
            raise RuntimeError("GradientTape.jacobian: persistent=True is needed, received a tape without it")
        if None in target.shape:
            raise ValueError(f"GradientTape.jacobian: a known shape is needed, received {target.shape}")
        import numpy as np

        eye = np.eye(target.size, dtype="float32").reshape(target.size, *target.shape)
        rows = [
            self.gradient(target, source, output_gradients=ops.cast(_core.Tensor(row), target.dtype)) for row in eye
        ]
        if any(row is None for row in rows):
            return None
        return ops.reshape(ops.stack(rows), (*target.shape, *source.shape))


def _checked(targets, dys):
    from maas import ops
    from maas.backend.standardize import is_float_dtype

    targets = [ops.convert_to_tensor(t) for t in targets]
    if len(dys) != len(targets):
        raise ValueError(f"GradientTape: {len(targets)} targets need as many output_gradients, received {len(dys)}")
    out = []
    for t, dy in zip(targets, dys):
        if not is_float_dtype(t.dtype):
            raise TypeError(f"GradientTape: only a float has gradients, received a target of dtype {t.dtype}")
        if dy is not None:
            dy = ops.cast(ops.convert_to_tensor(dy), t.dtype)
            if tuple(dy.shape) != tuple(t.shape):
                raise ValueError(f"GradientTape: an output gradient must have shape {t.shape}, received {dy.shape}")
        out.append(dy)
    return targets, out


class _Pause:
    def __init__(self, tape):
        self._tape = tape

    def __enter__(self):
        self._was = self._tape._recording
        if self._was:
            self._tape._stop()

    def __exit__(self, *_):
        if self._was:
            self._tape._start()
