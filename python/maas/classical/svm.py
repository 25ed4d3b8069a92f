"""Support vector machines: kernels between x and the support vectors, one against one."""

import itertools

import numpy as np

from maas import ops
from maas.classical.base import Classifier, Converter, column, converts, product, unsupported

_KERNELS = ("linear", "poly", "rbf", "sigmoid", "precomputed")


class KernelMachine(Converter):
    """Scores: kernel(x, support vectors) weights + intercept."""

    def check(self):
        est = self.est
        if callable(est.kernel) or est.kernel not in _KERNELS:
            raise unsupported(est, f"supports the kernels {', '.join(_KERNELS)}", est.kernel)
        if est._sparse:
            raise unsupported(est, "supports dense training data", "sparse data")

    def scores(self, x, weights, intercept):
        """(rows, scores) for weights (support vectors, scores); (rows,) for weights (support vectors,)."""
        est = self.est
        if est.kernel == "linear":
            y = product(x, self.param("weights", est.support_vectors_.T @ weights))
        else:
            y = product(self.kernel(x), self.param("weights", weights))
        return y + self.param("intercept", intercept)

    def kernel(self, x):
        est = self.est
        self.context.holds(len(est.support_))
        if est.kernel == "precomputed":
            return ops.take(x, self.param("support", est.support_, "int32"), axis=1)
        vectors, gamma = est.support_vectors_, float(est._gamma)
        if est.kernel == "rbf":
            # -gamma |x - s|^2, the square written out as one product.
            own = -gamma * ops.sum(x * x, axis=-1, keepdims=True)
            norms = -gamma * np.sum(vectors**2, axis=1)
            turned = np.concatenate([2 * gamma * vectors.T, np.ones((1, len(vectors))), norms[None]])
            inner = product(ops.concatenate([x, own, ops.ones_like(own)], axis=1), self.param("vectors", turned))
            return ops.exp(ops.minimum(inner, 0.0))
        inner = product(x, self.param("vectors", gamma * vectors.T)) + float(est.coef0)
        return ops.tanh(inner) if est.kernel == "sigmoid" else _power(inner, int(est.degree))


def _power(x, n):
    """x^n for an integer n >= 0, by squares."""
    y = None
    while n:
        y = x if n & 1 and y is None else x * y if n & 1 else y
        x, n = x * x, n >> 1
    return ops.ones_like(x) if y is None else y


@converts("svm.SVR", "svm.NuSVR")
class KernelRegressor(KernelMachine):
    def predict(self, x):
        return self.scores(x, self.est.dual_coef_[0], self.est.intercept_[0])


@converts("svm.OneClassSVM")
class OneClass(KernelMachine):
    def decision_function(self, x):
        return self.scores(x, self.est.dual_coef_[0], self.est.intercept_[0])

    def predict(self, x):
        return ops.where(ops.greater(self.decision_function(x), 0.0), np.int64(1), np.int64(-1))


@converts("svm.SVC", "svm.NuSVC")
class KernelClassifier(Classifier, KernelMachine):
    """A pair of classes i < j has a score that is positive for i."""

    def check(self):
        super().check()
        known, seen = len(self.est.classes_), len(self.est.n_support_)
        if seen != known:
            raise unsupported(self.est, f"needs rows with weight of all {known} classes", seen)

    def pairs(self):
        return list(itertools.combinations(range(len(self.est.classes_)), 2))

    def pair_scores(self, x):
        est, pairs = self.est, self.pairs()
        if len(est.classes_) == 2:
            # scikit-learn turns the sign of the only pair in what it shows.
            return -self.scores(x, est.dual_coef_.T, est.intercept_)
        ends = np.cumsum([0, *est.n_support_])
        weights = np.zeros((len(est.support_), len(pairs)))
        for p, (i, j) in enumerate(pairs):
            for one, row in ((i, j - 1), (j, i)):
                part = slice(ends[one], ends[one + 1])
                weights[part, p] = est.dual_coef_[row, part]
        return self.scores(x, weights, est.intercept_)

    def ends(self):
        """Of every pair the two classes, as columns of a sum: (pairs, classes) with 1 for the first, for the second."""
        first, second = np.zeros((2, len(self.pairs()), len(self.est.classes_)))
        for p, (i, j) in enumerate(self.pairs()):
            first[p, i] = second[p, j] = 1
        return first, second

    def votes(self, scores):
        first, second = self.ends()
        won = ops.cast(ops.greater(scores, 0.0), "float64")
        return product(won, self.param("first", first)) + product(1.0 - won, self.param("second", second))

    def decision_function(self, x):
        scores = self.pair_scores(x)
        if len(self.est.classes_) == 2:
            return -column(scores)
        if self.est.decision_function_shape == "ovo":
            return scores
        first, second = self.ends()
        # A score of 0 is a vote for the first here, and for the second in predict: so is it in scikit-learn.
        lost = ops.cast(ops.less(scores, 0.0), "float64")
        votes = product(1.0 - lost, self.param("first", first)) + product(lost, self.param("second", second))
        sums = product(scores, self.param("sides", first - second))
        return votes + sums / (3.0 * (ops.abs(sums) + 1.0))

    def predict_index(self, x):
        est = self.est
        if est.break_ties and est.decision_function_shape == "ovr" and len(est.classes_) > 2:
            return ops.argmax(self.decision_function(x), axis=-1)
        return ops.argmax(self.votes(self.pair_scores(x)), axis=-1)

    def predict_proba(self, x):
        est, k = self.est, len(self.est.classes_)
        scores = self.pair_scores(x)
        p = ops.sigmoid(-(scores * self.param("slopes", est.probA_) + self.param("offsets", est.probB_)))
        p = ops.clip(p, 1e-7, 1 - 1e-7)
        # r[i][j]: how likely i is among i and j.
        flat = np.zeros((k, k), int)
        for n, (i, j) in enumerate(self.pairs()):
            flat[i, j], flat[j, i] = n, n + len(self.pairs())
        both = ops.concatenate([p, 1.0 - p], axis=-1)
        r = ops.take(both, self.param("places", flat.ravel(), "int32"), axis=1)
        r = ops.reshape(r, (-1, k, k)) * self.param("off_diagonal", 1 - np.eye(k))
        return _coupled(r, k)


def _coupled(r, k):
    """Class probabilities of pairwise ones, as libsvm iterates them (Wu, Lin and Weng, 2004, second method)."""
    turned = ops.transpose(r, (0, 2, 1))
    eye = ops.convert_to_tensor(np.eye(k))
    q = eye * ops.sum(turned * turned, axis=-1)[:, :, None] - turned * r
    diagonal = ops.sum(q * eye, axis=-1)

    def errors(p):
        qp = ops.sum(q * p[:, None, :], axis=-1)
        pqp = ops.sum(p * qp, axis=-1, keepdims=True)
        return qp, pqp, ops.max(ops.abs(qp - pqp), axis=-1, keepdims=True)

    def go_on(p, wrong):
        return ops.any(ops.greater_equal(wrong, 0.005 / k))

    def step(p, wrong):
        start, going = p, ops.greater_equal(wrong, 0.005 / k)
        qp, pqp, _ = errors(p)
        for t in range(k):
            d = (pqp - qp[:, t : t + 1]) / diagonal[:, t : t + 1]
            p = (p + d * eye[t]) / (1.0 + d)
            pqp = (pqp + d * (d * diagonal[:, t : t + 1] + 2.0 * qp[:, t : t + 1])) / (1.0 + d) / (1.0 + d)
            qp = (qp + d * q[:, t, :]) / (1.0 + d)
        # A row that is there stays as it is, whatever the rows beside it need.
        p = ops.where(going, p, start)
        return p, ops.where(going, errors(p)[2], wrong)

    p = ops.full_like(r[:, 0, :], 1.0 / k)
    return ops.while_loop(go_on, step, (p, errors(p)[2]), maximum_iterations=max(100, k))[0]
