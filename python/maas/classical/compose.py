"""Pipelines, unions, columns, and what passes everything on to one estimator."""

import functools

import numpy as np

from maas import ops
from maas.classical.base import Converter, columns, converts, unsupported


class Delegate(Converter):
    """All methods are those of an inner estimator, on a prepared x."""

    def inner(self):
        raise NotImplementedError

    def prepare(self, x):
        return x

    def functions(self):
        return [f for f in self.inner().functions() if hasattr(self.est, f)]

    def classes(self):
        return self.inner().classes()

    def predict(self, x):
        return self.inner().predict(self.prepare(x))

    def predict_index(self, x):
        return self.inner().predict_index(self.prepare(x))

    def predict_proba(self, x):
        return self.inner().predict_proba(self.prepare(x))

    def decision_function(self, x):
        return self.inner().decision_function(self.prepare(x))

    def transform(self, x):
        return self.inner().transform(self.prepare(x))


@converts("pipeline.Pipeline")
class Pipeline(Delegate):
    def steps(self):
        return [e for _, e in self.est.steps if e not in (None, "passthrough")]

    def ends_here(self):
        """Whether the last step is no estimator."""
        return self.est.steps[-1][1] in (None, "passthrough")

    def inner(self):
        return self.sub(self.steps()[-1]) if self.steps() else Identity(self.est, self.context)

    def functions(self):
        if self.ends_here():
            return ["transform"]
        return super().functions()

    @property
    def rank(self):
        return self.sub(self.steps()[0]).rank if self.steps() else 2

    @property
    def features(self):
        return self.sub(self.steps()[0]).features if self.steps() else None

    def takes(self):
        return self.sub(self.steps()[0]).takes() if self.steps() else "all"

    def prepare(self, x):
        for step in self.steps()[:-1]:
            x = ops.cast(self.sub(step).transform(x), "float64")
        return x


class Identity(Converter):
    def functions(self):
        return ["transform"]

    def transform(self, x):
        return x + 0.0


@converts(
    "model_selection.GridSearchCV", "model_selection.RandomizedSearchCV", "model_selection.HalvingGridSearchCV",
    "model_selection.HalvingRandomSearchCV",
)  # fmt: skip
class Search(Delegate):
    def check(self):
        if not hasattr(self.est, "best_estimator_"):
            raise unsupported(self.est, "needs refit=True", self.est.refit)

    def inner(self):
        return self.sub(self.est.best_estimator_)

    @property
    def features(self):
        return self.inner().features

    def takes(self):
        return self.inner().takes()


@converts("model_selection.TunedThresholdClassifierCV", "model_selection.FixedThresholdClassifier")
class Threshold(Delegate):
    def check(self):
        raise unsupported(self.est, "is not supported; its estimator_ is", self.est.estimator_)


def joined(parts, x):
    """Columns side by side; no columns at all give a tensor without any."""
    parts = [ops.cast(p, "float64") for p in parts]
    if not parts:
        return x[:, :0]
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)


@converts("pipeline.FeatureUnion")
class FeatureUnion(Converter):
    def transform(self, x):
        weights, parts = self.est.transformer_weights or {}, []
        for name, e in self.est.transformer_list:
            if e == "drop":
                continue
            y = x if e == "passthrough" else self.sub(e).transform(x)
            parts.append(ops.cast(y, "float64") * float(weights[name]) if name in weights else y)
        return joined(parts, x)

    def takes(self):
        found = {
            "all" if e == "passthrough" else self.sub(e).takes() for _, e in self.est.transformer_list if e != "drop"
        }
        return next((t for t in ("finite", "nan") if t in found), "all")

    @property
    def features(self):
        known = [self.sub(e).features for _, e in self.est.transformer_list if e not in ("drop", "passthrough")]
        return next((n for n in known if n is not None), None)


@converts("compose.ColumnTransformer")
class ColumnTransformer(Converter):
    def takes(self):
        return "all"  # a part that takes no NaN may not see the columns that have them

    def transform(self, x):
        est, parts = self.est, []
        weights = est.transformer_weights or {}
        for name, e, _ in est.transformers_:
            places = np.asarray(est._transformer_to_input_indices[name], int)
            if e == "drop" or not len(places):
                continue
            part = columns(x, places)
            if e != "passthrough":
                part = self.sub(e).transform(part)
            parts.append(ops.cast(part, "float64") * float(weights[name]) if name in weights else part)
        return joined(parts, x)


_KNOWN = {
    np.log: ops.log, np.log1p: ops.log1p, np.log2: ops.log2, np.log10: ops.log10, np.exp: ops.exp, np.expm1: ops.expm1,
    np.sqrt: ops.sqrt, np.square: ops.square, np.abs: ops.abs, np.negative: ops.negative, np.sin: ops.sin,
    np.cos: ops.cos, np.tan: ops.tan, np.tanh: ops.tanh, np.arctan: ops.arctan, np.sign: ops.sign, np.floor: ops.floor,
    np.ceil: ops.ceil, np.reciprocal: lambda x: 1.0 / x,
}  # fmt: skip


def known_function(est, function):
    """The op of a NumPy function."""
    if function is None:
        return lambda x: x + 0.0
    # What histogram gradient boosting puts before its numbers: a check, no change.
    if isinstance(function, functools.partial) and getattr(function.func, "__name__", "") == "check_array":
        return lambda x: x
    try:
        return _KNOWN[function]
    except (KeyError, TypeError):
        names = ", ".join(f"np.{f.__name__}" for f in _KNOWN)
        raise unsupported(est, f"supports the functions None, {names}", function) from None


@converts("preprocessing.FunctionTransformer")
class FunctionTransformer(Converter):
    def check(self):
        known_function(self.est, self.est.func)
        if self.est.kw_args:
            raise unsupported(self.est, "supports functions without arguments", self.est.kw_args)

    def takes(self):
        return super().takes() if self.est.validate else "all"

    def transform(self, x):
        return known_function(self.est, self.est.func)(x)


@converts("compose.TransformedTargetRegressor")
class TransformedTarget(Converter):
    """The inverse of a function of the target, or of a scaler, after the regressor."""

    def predict(self, x):
        est, transformer = self.est, self.est.transformer_
        y = self.sub(est.regressor_).predict(x)
        name = type(transformer).__name__
        if name == "FunctionTransformer":
            return known_function(transformer, transformer.inverse_func)(y)
        flat = len(y.shape) == 1
        if name == "StandardScaler":
            scale = 1.0 if transformer.scale_ is None else transformer.scale_
            shift = transformer.mean_ if transformer.with_mean else 0.0
        elif name == "MinMaxScaler":
            scale, shift = 1.0 / transformer.scale_, -transformer.min_ / transformer.scale_
        else:
            raise unsupported(est, "supports func, StandardScaler and MinMaxScaler", name)
        scale, shift = np.ravel(scale), np.ravel(shift)
        y = (y[:, None] if flat else y) * self.param("scale", scale) + self.param("shift", shift)
        return y[:, 0] if flat and est._training_dim == 1 else y
