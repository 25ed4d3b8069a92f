"""Scalers and other functions of single features or rows."""

import numpy as np

from maas import ops
from maas.classical.base import Converter, converts


class Scale(Converter):
    """(x - shift) / scale, each where there is one."""

    def scaled(self, x, shift, scale):
        if shift is not None:
            x = x - self.param("shift", shift)
        return x if scale is None else x / self.param("scale", scale)


@converts("preprocessing.StandardScaler")
class StandardScaler(Scale):
    def transform(self, x):
        return self.scaled(x, self.est.mean_ if self.est.with_mean else None, self.est.scale_)


@converts("preprocessing.RobustScaler")
class RobustScaler(Scale):
    def transform(self, x):
        est = self.est
        return self.scaled(x, est.center_ if est.with_centering else None, est.scale_ if est.with_scaling else None)


@converts("preprocessing.MaxAbsScaler")
class MaxAbsScaler(Scale):
    def transform(self, x):
        x = self.scaled(x, None, self.est.scale_)
        return ops.clip(x, -1.0, 1.0) if getattr(self.est, "clip", False) else x


@converts("preprocessing.MinMaxScaler")
class MinMaxScaler(Converter):
    def transform(self, x):
        est = self.est
        x = x * self.param("scale", est.scale_) + self.param("min", est.min_)
        return ops.clip(x, float(est.feature_range[0]), float(est.feature_range[1])) if est.clip else x


@converts("preprocessing.Normalizer")
class Normalizer(Converter):
    def transform(self, x):
        size = ops.abs(x)
        if self.est.norm == "l1":
            size = ops.sum(size, axis=-1, keepdims=True)
        elif self.est.norm == "max":
            size = ops.max(size, axis=-1, keepdims=True)
        else:
            size = ops.sqrt(ops.sum(x * x, axis=-1, keepdims=True))
        return x / ops.where(ops.equal(size, 0.0), 1.0, size)


@converts("preprocessing.Binarizer")
class Binarizer(Converter):
    def transform(self, x):
        return ops.cast(ops.greater(x, float(self.est.threshold)), "float64")


@converts("preprocessing.PowerTransformer")
class PowerTransformer(Converter):
    """Each feature by its own power, then to mean 0 and variance 1."""

    def transform(self, x):
        est = self.est
        one = self.box_cox if est.method == "box-cox" else self.yeo_johnson
        y = ops.stack([one(x[:, i], float(p)) for i, p in enumerate(est.lambdas_)], axis=-1)
        return self.sub(est._scaler).transform(y) if est.standardize else y

    @staticmethod
    def box_cox(x, p):
        # expm1 keeps the digits where the power is near 1.
        return ops.log(x) if p == 0 else ops.expm1(p * ops.log(x)) / p

    @staticmethod
    def yeo_johnson(x, p):
        def side(v, p):
            return ops.log1p(v) if abs(p) < np.spacing(1.0) else ops.expm1(p * ops.log1p(v)) / p

        above = side(ops.maximum(x, 0.0), p)
        below = -side(ops.maximum(-x, 0.0), 2 - p)
        return ops.where(ops.isnan(x), x, ops.where(ops.greater_equal(x, 0.0), above, below))


def normal_quantile(p):
    """x with P(normal < x) = p, for 0 < p < 1: rational functions, to 16 digits.

    Reference: Wichura, 1988, "Algorithm AS 241: The percentage points of the normal distribution".
    """

    def ratio(r, above, below):
        top = bottom = 0.0
        for a, b in zip(reversed(above), reversed(below)):
            top, bottom = top * r + a, bottom * r + b
        return top / bottom

    q = p - 0.5
    center = q * ratio(0.180625 - q * q, *_CENTER)
    r = ops.sqrt(-ops.log(ops.minimum(p, 1.0 - p)))
    tail = ops.where(ops.less_equal(r, 5.0), ratio(r - 1.6, *_NEAR), ratio(r - 5.0, *_FAR))
    return ops.where(ops.less_equal(ops.abs(q), 0.425), center, ops.where(ops.less(q, 0.0), -tail, tail))


_CENTER = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3, 2.1213794301586595867e4,
     3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_NEAR = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1, 1.48103976427480074590e-1,
     1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip
_FAR = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2, 7.86869131145613259100e-4,
     1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)  # fmt: skip


@converts("preprocessing.QuantileTransformer")
class QuantileTransformer(Converter):
    """The share of training values below, between quantiles by a straight line."""

    def transform(self, x):
        return ops.stack([self.one(x[:, i], i) for i in range(self.est.n_features_in_)], axis=-1)

    def one(self, x, i):
        est, quantiles, shares = self.est, self.est.quantiles_[:, i], self.est.references_
        up = self.between(x, quantiles, shares, f"up_{i}")
        down = self.between(-x, -quantiles[::-1], -shares[::-1], f"down_{i}")
        y = 0.5 * (up - down)
        normal, near = est.output_distribution == "normal", 1e-7
        low, high = float(quantiles[0]), float(quantiles[-1])
        at_low = ops.less(x - near, low) if normal else ops.equal(x, low)
        at_high = ops.greater(x + near, high) if normal else ops.equal(x, high)
        y = ops.where(at_low, 0.0, ops.where(at_high, 1.0, y))
        if normal:
            from scipy.stats import norm

            end = near - np.spacing(1.0)
            middle = ops.clip(y, end, 1 - end)
            y = ops.where(ops.isnan(x), x, normal_quantile(middle))
            y = ops.clip(y, float(norm.ppf(end)), float(norm.ppf(1 - end)))
        return ops.where(ops.isnan(x), x, y)

    def between(self, x, points, values, name):
        """`np.interp`: the value on the line between the points beside x, the last one's at an end."""
        n = len(points)
        if n == 1:
            return ops.full_like(x, float(values[0]))
        at = ops.searchsorted(self.param(f"{name}_points", points), x, side="right") - np.int32(1)
        at = ops.clip(at, np.int32(0), np.int32(n - 2))
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.diff(values) / np.diff(points)
        slope = np.where(np.isfinite(slope), slope, 0)
        left, value = (ops.take(self.param(f"{name}_{k}", v[:-1]), at, axis=0)
                       for k, v in (("left", points), ("value", values)))  # fmt: skip
        y = ops.take(self.param(f"{name}_slope", slope), at, axis=0) * (x - left) + value
        y = ops.where(ops.less(x, float(points[0])), float(values[0]), y)
        return ops.where(ops.greater_equal(x, float(points[-1])), float(values[-1]), y)


@converts("preprocessing.PolynomialFeatures")
class PolynomialFeatures(Converter):
    """Products of powers of features, each made from a smaller one."""

    def transform(self, x):
        known = {}

        def term(powers):
            if powers not in known:
                used = [i for i, p in enumerate(powers) if p]
                if not used:
                    known[powers] = ops.ones_like(x[:, 0])
                elif sum(powers) == 1:
                    known[powers] = x[:, used[0]]
                else:
                    last = used[-1]
                    rest = tuple(p - (i == last) for i, p in enumerate(powers))
                    known[powers] = term(rest) * x[:, last]
            return known[powers]

        return ops.stack([term(tuple(int(p) for p in row)) for row in self.est.powers_], axis=-1)


@converts("preprocessing.KernelCenterer")
class KernelCenterer(Converter):
    def transform(self, x):
        est = self.est
        rows = ops.mean(x, axis=1, keepdims=True)
        return x - self.param("fit_rows", est.K_fit_rows_) - rows + float(est.K_fit_all_)
