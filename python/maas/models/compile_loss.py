"""The losses of `compile(loss=..., loss_weights=...)` as one number."""

import numpy as np

from maas import losses, tree
from maas.backend.naming import to_snake_case
from maas.losses.reduction import row_count
from maas.models.compile_common import align, describe, is_binary_or_sparse_categorical, names_of_outputs


def get_loss(identifier, y_true, y_pred):
    """A `Loss` object; `"crossentropy"` and `"ce"` choose one by the shapes."""
    if identifier is None:
        return None
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        binary, sparse = is_binary_or_sparse_categorical(y_true, y_pred)
        if binary:
            loss = losses.binary_crossentropy
        else:
            loss = losses.sparse_categorical_crossentropy if sparse else losses.categorical_crossentropy
    else:
        loss = losses.get(identifier)
    if isinstance(loss, losses.Loss):
        return loss
    # One class per function keeps what the class knows, such as that labels stay integers.
    own = _CLASS_OF.get(loss)
    if own is not None:
        return own(name=identifier if isinstance(identifier, str) else to_snake_case(loss.__name__))
    name = identifier if isinstance(identifier, str) else getattr(loss, "name", None)
    name = name or to_snake_case(getattr(loss, "__name__", type(loss).__name__))
    return losses.LossFunctionWrapper(loss, name=name)


_CLASS_OF = {losses.sparse_categorical_crossentropy: losses.SparseCategoricalCrossentropy}


class CompileLoss:
    """Sum of weighted losses over the outputs; built at the first batch, when the outputs are known.

    Args:
        loss: a loss, or losses nested like the outputs, or a dict by output name.
        loss_weights: numbers in the same form, or None.
        output_names: list of str or None.
    """

    def __init__(self, loss, loss_weights=None, output_names=None):
        if not all(_is_weight(w) for w in tree.flatten(loss_weights)):
            raise ValueError(
                "loss_weights must be a number, or a list or dict of numbers; metrics are given by name, "
                f"metrics=[...], received loss_weights={loss_weights!r}"
            )
        for leaf in tree.flatten(loss):
            # An unknown name fails at compile, not at the first batch.
            if isinstance(leaf, str) and leaf.lower() not in ("crossentropy", "ce"):
                losses.get(leaf)
            elif leaf is not None and not isinstance(leaf, (str, dict)) and not callable(leaf):
                losses.get(leaf)
        self._user_loss, self._user_weights = loss, loss_weights
        self.output_names = output_names
        self.reset()

    def reset(self):
        """Forget the outputs; the next call builds again."""
        self.built = False
        self._terms = []  # (output position, Loss, weight or None, name)
        self.targets = []  # (position among the leaves of y, Loss)
        self.metrics = []

    @property
    def variables(self):
        """State of the per-output means."""
        return [v for m in self.metrics for v in m.variables]

    def build(self, y_true, y_pred):
        """Finds out which loss belongs to which output."""
        names = names_of_outputs(y_pred, self.output_names)
        per_output = self._per_output(self._user_loss, y_pred, names)
        weights = self._weights(per_output, y_pred, names)
        flat_pred = tree.flatten(y_pred)
        flat_true = self._align_targets(y_true, y_pred, names, per_output)
        terms = []
        for i, (group, group_weights) in enumerate(zip(per_output, weights)):
            for identifier, weight in zip(group, group_weights):
                if identifier is None:
                    continue
                _need_targets(flat_true[i], identifier, names[i] or i)
                loss = get_loss(identifier, flat_true[i], flat_pred[i])
                terms.append((i, loss, weight, names[i] or loss.name))
        self._terms, self._names = terms, names
        places = iter(range(len(tree.flatten(y_true))))
        places = self._align_targets(tree.map_structure(lambda _: next(places), y_true), y_pred, names, per_output)
        self.targets = [(places[i], loss) for i, loss, _, _ in terms]
        self.metrics = []
        if len(terms) > 1:
            from maas import metrics

            self.metrics = [metrics.Mean(name=f"{name}_loss") for _, _, _, name in terms]
        self.built = True

    def _per_output(self, loss, y_pred, names):
        """A list of losses for each output."""
        count = len(names)
        if isinstance(loss, dict) and "class_name" not in loss:
            unknown = [k for k in loss if k not in names]
            if unknown or (not isinstance(y_pred, dict) and set(loss) != set(names)):
                raise ValueError(f"loss must have the output names {names} as keys, received {list(loss)}")
            return [_as_list(loss.get(n)) for n in names]
        if isinstance(loss, (list, tuple)):
            if count == 1:
                return [tree.flatten(list(loss))]
            if len(loss) == count:
                return [_as_list(entry) for entry in loss]
            raise ValueError(f"loss must have one entry for each of {count} outputs, received {len(loss)}: {loss}")
        return [[loss] for _ in names]

    def _weights(self, per_output, y_pred, names):
        weights = self._user_weights
        total = sum(len(group) for group in per_output)
        if weights is None:
            flat = [None] * total
        elif isinstance(weights, dict):
            unknown = [k for k in weights if k not in names]
            if unknown:
                raise ValueError(f"loss_weights must have the output names {names} as keys, received {list(weights)}")
            flat = [w for n, group in zip(names, per_output) for w in _spread(weights.get(n), len(group))]
        else:
            flat = tree.flatten(weights)
            if len(flat) != total:
                raise ValueError(
                    f"loss_weights must have one number per loss ({total}), received {len(flat)}: {weights}"
                )
        it = iter(flat)
        return [[next(it) for _ in group] for group in per_output]

    @staticmethod
    def _align_targets(y_true, y_pred, names, per_output):
        leaves = tree.flatten(y_true)
        used = [i for i, group in enumerate(per_output) if any(g is not None for g in group)]
        if len(leaves) != len(names) and len(leaves) == len(used):
            # Outputs without a loss need no targets.
            full = [None] * len(names)
            for i, leaf in zip(used, leaves):
                full[i] = leaf
            return full
        return align(y_true, y_pred, names, "y")

    def __call__(self, y_true, y_pred, sample_weight=None):
        if not self.built:
            self.build(y_true, y_pred)
        flat_pred = tree.flatten(y_pred)
        per_output = [[loss for j, loss, _, _ in self._terms if j == i] or [None] for i in range(len(flat_pred))]
        flat_true = self._align_targets(y_true, y_pred, self._names, per_output)
        flat_weight = [sample_weight] * len(flat_pred)
        if tree.is_nested(sample_weight):
            flat_weight = self._align_targets(sample_weight, y_pred, self._names, per_output)
        total = None
        for k, (i, loss, weight, name) in enumerate(self._terms):
            _need_targets(flat_true[i], loss.name, name)
            try:
                _need_columns(loss, flat_true[i], flat_pred[i])
                value = loss(flat_true[i], flat_pred[i], flat_weight[i])
            except (ValueError, TypeError) as e:
                raise type(e)(
                    f"loss {loss.name!r} of output {name!r}: {e}{_fix(flat_true[i], flat_pred[i])}; "
                    f"{describe(flat_true[i], flat_pred[i])}"
                ) from e
            if self.metrics:
                self.metrics[k].update_state(value, sample_weight=row_count(flat_pred[i]))
            if weight is not None:
                value = value * weight
            total = value if total is None else total + value
        return total


def _fix(y_true, y_pred):
    """What to change so that the shapes fit, as a part of an error; "" if there is no good guess."""
    true, pred = tuple(y_true.shape), tuple(y_pred.shape)
    if len(true) == len(pred) and true and None not in (true[-1], pred[-1]) and true[-1] != pred[-1]:
        return f"; y has {true[-1]} columns, so the output needs {true[-1]} units"
    if len(true) == len(pred) - 1 and pred[-1] not in (None, 1):
        return f"; the output has {pred[-1]} units for one number per sample of y"
    return ""


def _need_columns(loss, y_true, y_pred):
    """One number per sample against several units would broadcast rows against columns where sizes happen to meet."""
    function = getattr(loss, "fn", None)
    name = getattr(function, "__name__", "")
    # These take class numbers, or say more about them themselves.
    numbers = any(word in name for word in ("crossentropy", "cross_entropy", "ctc"))
    ours = getattr(function, "__module__", "").startswith("maas.losses") and not numbers
    true, pred = tuple(y_true.shape), tuple(y_pred.shape)
    if ours and (len(true), len(pred)) == (1, 2) and pred[-1] not in (None, 1):
        raise ValueError("y has no axis of units")


def _need_targets(target, loss, output):
    if target is None:
        raise ValueError(f"the loss {loss!r} of output {output!r} needs targets y, received None")


def _is_weight(value):
    # A scalar array or a Variable weighs too.
    return value is None or (hasattr(value, "__float__") and not isinstance(value, str) and not np.ndim(value))


def _as_list(entry):
    return list(entry) if isinstance(entry, (list, tuple)) else [entry]


def _spread(weight, count):
    return list(weight) if isinstance(weight, (list, tuple)) else [weight] * count
