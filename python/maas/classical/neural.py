"""Multi-layer perceptrons."""

from maas import ops
from maas.classical.base import Classifier, Converter, column, converts, product, two, unsupported

_ACTIVATIONS = {
    "identity": lambda x: x, "logistic": ops.sigmoid, "tanh": ops.tanh, "relu": ops.relu, "exp": ops.exp,
    "softmax": lambda x: ops.softmax(x, axis=-1),
}  # fmt: skip


class Perceptron(Converter):
    def check(self):
        for name in (self.est.activation, self.est.out_activation_):
            if name not in _ACTIVATIONS:
                raise unsupported(self.est, f"supports the activations {', '.join(_ACTIVATIONS)}", name)

    def forward(self, x):
        est = self.est
        for i, (w, b) in enumerate(zip(est.coefs_, est.intercepts_)):
            x = product(x, self.param(f"kernel_{i}", w)) + self.param(f"bias_{i}", b)
            x = _ACTIVATIONS[est.activation if i + 2 < est.n_layers_ else est.out_activation_](x)
        return x


@converts("neural_network.MLPRegressor")
class PerceptronRegressor(Perceptron):
    def predict(self, x):
        y = self.forward(x)
        return column(y) if y.shape[1] == 1 else y


@converts("neural_network.MLPClassifier")
class PerceptronClassifier(Perceptron, Classifier):
    def many(self):
        """Whether a row may have several labels."""
        return self.est._label_binarizer.y_type_.startswith("multilabel")

    def predict_proba(self, x):
        y = self.forward(x)
        return two(column(y)) if y.shape[1] == 1 else y

    def predict_index(self, x):
        y = self.forward(x)
        return ops.cast(ops.greater(y[:, 0], 0.5), "int32") if y.shape[1] == 1 else ops.argmax(y, axis=-1)

    def predict(self, x):
        return ops.cast(ops.greater(self.forward(x), 0.5), "int64") if self.many() else super().predict(x)

    def classes(self):
        return None if self.many() else super().classes()


@converts("neural_network.BernoulliRBM")
class BoltzmannMachine(Converter):
    def transform(self, x):
        est = self.est
        return ops.sigmoid(
            product(x, self.param("kernel", est.components_.T)) + self.param("bias", est.intercept_hidden_)
        )
