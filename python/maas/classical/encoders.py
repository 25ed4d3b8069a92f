"""Encoders of categories that are numbers: each column looks its category up in a table of the encoder's answers."""

import numpy as np

from maas import _core, ops
from maas.classical.base import Converter, converts, unsupported

_OUTSIDE = 1 << 30


def place_of(x, categories, param, unknown):
    """The place of each x (rows,) among the categories (param: them as a tensor); `unknown` for one that is none."""
    equal = ops.equal(x[:, None], param)
    if np.isnan(categories).any():
        equal = ops.logical_or(equal, ops.logical_and(ops.isnan(x)[:, None], ops.isnan(param)))
    return ops.where(ops.any(equal, axis=-1), ops.argmax(equal, axis=-1), np.int32(unknown))


class Lookup(Converter):
    """Asks the encoder for its answer to every category, and to one that it does not know."""

    refuses_unknown = True  # whether an unknown category is an error

    def check(self):
        for i, categories in enumerate(self.est.categories_):
            if np.asarray(categories).dtype.kind not in "buif":
                raise unsupported(
                    self.est, f"supports categories that are numbers (column {i})", np.asarray(categories)[:5].tolist()
                )

    def answers(self, rows):
        y = self.est.transform(rows)
        return np.asarray(y.toarray() if hasattr(y, "toarray") else y, "float64")

    def transform(self, x):
        est, parts = self.est, []
        known = [np.asarray(c, "float64") for c in est.categories_]
        first = np.array([c[0] if len(c) else np.nan for c in known])
        widths = self.widths()
        ends = np.cumsum([0, *widths])
        for i, categories in enumerate(known):
            rows = np.tile(first, (len(categories), 1))
            rows[:, i] = categories
            if not self.refuses_unknown:
                rows = np.concatenate([rows, first[None]])
                rows[-1, i] = self.stranger(categories)
            table = self.answers(rows)[:, self.outputs(i, ends)]
            at = place_of(
                x[:, i], categories, self.param(f"categories_{i}", categories),
                _OUTSIDE if self.refuses_unknown else len(categories),
            )  # fmt: skip
            rule = f"{type(est).__name__}: column {i} has a category that training did not meet, known are " + (
                ", ".join(f"{c:g}" for c in categories[:8]) + (", ..." if len(categories) > 8 else "")
            )
            parts.append(_core.take(self.param(f"answers_{i}", table), at, axis=0, rule=rule))
        return ops.concatenate(parts, axis=-1)

    def outputs(self, i, ends):
        return slice(ends[i], ends[i + 1])

    @staticmethod
    def stranger(categories):
        """A number that is none of the categories."""
        finite = categories[np.isfinite(categories)]
        return float(np.floor(finite.max()) + 1) if len(finite) else 0.0


@converts("preprocessing.OneHotEncoder")
class OneHotEncoder(Lookup):
    def check(self):
        super().check()
        self.refuses_unknown = self.est.handle_unknown == "error"

    def answers(self, rows):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().answers(rows)

    def widths(self):
        return self.est._n_features_outs


@converts("preprocessing.OrdinalEncoder")
class OrdinalEncoder(Lookup):
    def check(self):
        super().check()
        self.refuses_unknown = self.est.handle_unknown == "error"

    def widths(self):
        return [1] * len(self.est.categories_)


@converts("preprocessing.TargetEncoder")
class TargetEncoder(Lookup):
    refuses_unknown = False

    def widths(self):
        est = self.est
        return [len(est.encodings_) // len(est.categories_)] * len(est.categories_)


@converts("preprocessing.LabelEncoder")
class LabelEncoder(Converter):
    rank = 1
    features = None

    def check(self):
        classes = np.asarray(self.est.classes_)
        if classes.dtype.kind not in "buif":
            raise unsupported(self.est, "supports labels that are numbers", classes[:5].tolist())

    def takes(self):
        return "nan"

    def found(self, x, table, name):
        classes = np.asarray(self.est.classes_, "float64")
        at = place_of(x, classes, self.param("classes", classes), _OUTSIDE)
        rule = f"{type(self.est).__name__}: a label must be one of the {len(classes)} of training"
        return _core.take(self.param(name, table, "int64"), at, axis=0, rule=rule)

    def transform(self, x):
        return self.found(x, np.arange(len(self.est.classes_)), "places")


@converts("preprocessing.LabelBinarizer")
class LabelBinarizer(LabelEncoder):
    def check(self):
        super().check()
        if self.est.y_type_.startswith("multilabel"):
            raise unsupported(self.est, "supports one label per row", self.est.y_type_)

    def transform(self, x):
        est = self.est
        classes = np.asarray(est.classes_, "float64")
        table = np.asarray(est.transform(est.classes_))
        at = place_of(x, classes, self.param("classes", classes), len(classes))
        # A label that training did not meet has no 1.
        table = np.concatenate([table, np.full((1, table.shape[1]), est.neg_label)])
        return ops.take(self.param("rows", table, "int64"), at, axis=0)
