"""`SKLearnClassifier`, `SKLearnRegressor`, `SKLearnTransformer`: for cross_val_score, GridSearchCV, Pipeline."""

import copy

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from maas.models import Model, clone_model

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # before scikit-learn 1.6 it was a method

    def validate_data(estimator, *args, **kwargs):
        return estimator._validate_data(*args, **kwargs)


class _Estimator(BaseEstimator):
    """Base: a compiled model, or a function `model(X, y, **model_kwargs)` that makes one for the data.

    Args:
        model: `Model` that is compiled, of which every `fit` trains a new copy; or a function.
        warm_start: bool, whether `fit` goes on with the model of the last one.
        model_kwargs: dict of more arguments for the function; a grid search names them `model_kwargs`.
        fit_kwargs: dict of arguments for `Model.fit`.
    """

    def __init__(self, model, warm_start=False, model_kwargs=None, fit_kwargs=None):
        self.model, self.warm_start = model, warm_start
        self.model_kwargs, self.fit_kwargs = model_kwargs, fit_kwargs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def __sklearn_clone__(self):
        # A model is copied with its compilation; a function stays as it is.
        model = copy.deepcopy(self.model) if isinstance(self.model, Model) else self.model
        return type(self)(
            model=model, warm_start=self.warm_start, model_kwargs=self.model_kwargs, fit_kwargs=self.fit_kwargs
        )

    @property
    def epoch_(self):
        """Epochs of the last `fit`."""
        return getattr(getattr(self, "history_", None), "epoch", [])

    def _made(self, X, y):
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if isinstance(self.model, Model):
            made = clone_model(self.model)
            if self.model.compiled:
                made.compile_from_config(self.model.get_compile_config())
        else:
            made = self.model(X=X, y=y, **(self.model_kwargs or {}))
        if not isinstance(made, Model) or not made.compiled or made.loss is None or made.optimizer is None:
            raise RuntimeError(
                f"{type(self).__name__}: the model must be compiled with a loss and an optimizer, received {made!r}"
            )
        return made

    def fit(self, X, y=None, **kwargs):
        """Trains a model on arrays; `kwargs` go to `Model.fit`."""
        # multi_output, and no string becomes a number.
        X, y = validate_data(self, X, y, multi_output=True)
        targets = self._process_target(y)
        model = self._made(X, targets)
        self.history_ = model.fit(X, targets, **{"verbose": 0, **(self.fit_kwargs or {}), **kwargs})
        self.model_ = model
        return self

    def _outputs(self, X):
        check_is_fitted(self, "model_")
        return np.asarray(self.model_.predict(validate_data(self, X, reset=False), verbose=0))

    def _process_target(self, y):
        type_of_target(y, raise_unknown=True)
        self._target_ndim = y.ndim
        return y.reshape(-1, 1) if y.ndim == 1 else y


class SKLearnClassifier(ClassifierMixin, _Estimator):
    """A model as a classifier: targets become one-hot rows, and the class of the largest output is predicted.

    Args:
        model, warm_start, model_kwargs, fit_kwargs: see the base; a function gets the one-hot rows as `y`.

    Raises:
        ValueError: for targets that are no classes.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags

    def _process_target(self, y):
        kind = type_of_target(y, raise_unknown=True)
        if kind not in ("binary", "multiclass"):
            raise ValueError(
                f"Only binary and multiclass target types are supported by {type(self).__name__}. Unknown label type: "
                f"{kind}"
            )
        classes, places = np.unique(y, return_inverse=True)
        if len(classes) == 1:
            raise ValueError("Classifier can't train when only one class is present.")
        self.classes_ = classes
        return np.eye(len(classes), dtype="float32")[places.ravel()]

    def decision_function(self, X):
        """The outputs of the model, one number per class."""
        return self._outputs(X)

    def predict(self, X):
        """The class of the largest output."""
        outputs = self._outputs(X)
        return self.classes_[outputs.argmax(axis=1)]


class SKLearnRegressor(RegressorMixin, _Estimator):
    """A model as a regressor.

    Args:
        model, warm_start, model_kwargs, fit_kwargs: see the base.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags

    def predict(self, X):
        """The outputs, in the shape of the targets."""
        out = self._outputs(X)
        return out[:, 0] if self._target_ndim == 1 and out.ndim == 2 and out.shape[1] == 1 else out


class SKLearnTransformer(TransformerMixin, _Estimator):
    """A model as a transformer: what it gives goes to the next step of a `Pipeline`.

    Args:
        model, warm_start, model_kwargs, fit_kwargs: see the base.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        tags.target_tags.required = True
        return tags

    def transform(self, X):
        """The outputs of the model."""
        return self._outputs(X)

    predict = transform
