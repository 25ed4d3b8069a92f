"""Feature selection: some columns of x."""

from maas.classical.base import Converter, columns, converts
from maas.classical.compose import Delegate


class Selector(Converter):
    def transform(self, x):
        return columns(x, self.est.get_support(indices=True))


@converts(
    "feature_selection.SelectKBest", "feature_selection.SelectPercentile", "feature_selection.SelectFpr",
    "feature_selection.SelectFdr", "feature_selection.SelectFwe", "feature_selection.GenericUnivariateSelect",
    "feature_selection.VarianceThreshold", "feature_selection.SelectFromModel",
    "feature_selection.SequentialFeatureSelector",
)  # fmt: skip
class Selection(Selector):
    pass


@converts("feature_selection.RFE", "feature_selection.RFECV")
class RecursiveElimination(Delegate, Selector):
    """Predicts with the estimator of the columns that are left."""

    def inner(self):
        return self.sub(self.est.estimator_)

    def prepare(self, x):
        return Selector.transform(self, x)

    def transform(self, x):
        return Selector.transform(self, x)

    def functions(self):
        return [*(f for f in super().functions() if f != "transform"), "transform"]
