"""Logs for TensorBoard."""

import os
import time
import warnings

import numpy as np

from maas.callbacks import event_file
from maas.callbacks.callback import Callback


class TensorBoard(Callback):
    """Writes what `tensorboard --logdir LOG_DIR` shows: losses and metrics, the learning rate, weights, the model.

    Args:
        log_dir: str or path, a folder; "train" and "validation" are made in it.
        histogram_freq: int, every how many epochs the distributions of the weights are written; 0 never.
        write_graph: bool, whether the layers of the model are written.
        write_images: bool, whether weights are written as images too (needs Pillow).
        write_steps_per_second: bool.
        update_freq: "epoch", "batch", or int: every how many batches losses and metrics are written.
        profile_batch: only 0: `model.profile(x)` measures kernels.
        embeddings_freq: int, every how many epochs the weights are saved, and the vectors of Embedding layers as
            LAYER.tsv for the projector; 0 never.
        embeddings_metadata: dict of the name of an Embedding layer to the path of its labels, or one path for all.

    Raises:
        ValueError: for another `update_freq` or `profile_batch`.
    """

    def __init__(
        self, log_dir="logs", histogram_freq=0, write_graph=True, write_images=False, write_steps_per_second=False,
        update_freq="epoch", profile_batch=0, embeddings_freq=0, embeddings_metadata=None,
    ):  # fmt: skip
        super().__init__()
        if profile_batch != 0:
            raise ValueError(
                f"TensorBoard: profile_batch must be 0, model.profile(x) measures kernels, received {profile_batch!r}"
            )
        freq = 1 if update_freq == "batch" else update_freq
        if freq != "epoch" and (isinstance(freq, bool) or not isinstance(freq, int) or freq < 1):
            raise ValueError(
                f"TensorBoard: update_freq must be 'epoch', 'batch' or a positive int, received {update_freq!r}"
            )
        self.log_dir, self.update_freq = os.fspath(log_dir), freq
        self.histogram_freq, self.write_graph, self.write_images = histogram_freq, write_graph, write_images
        self.write_steps_per_second = write_steps_per_second
        self.embeddings_freq, self.embeddings_metadata = embeddings_freq, embeddings_metadata
        self._files, self._train_step = {}, 0

    def _batch_due(self, batch):
        """True if batches are written; else no batch needs logs."""
        return self.update_freq != "epoch" or self.write_steps_per_second

    def _file(self, part):
        if part not in self._files:
            self._files[part] = event_file.EventFile(os.path.join(self.log_dir, part))
        return self._files[part]

    def set_model(self, model):
        super().set_model(model)
        if self.embeddings_freq and model is not None:
            self._write_projector()

    def on_train_begin(self, logs=None):
        self._train_step = 0
        if self.write_graph:
            self._write_graph()

    def on_train_end(self, logs=None):
        for file in self._files.values():
            file.close()
        self._files = {}

    # ---- batches

    def on_train_batch_begin(self, batch, logs=None):
        self._batch_began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self._train_step += 1
        if self.update_freq == "epoch" or self._train_step % self.update_freq:
            return
        values = _scalars("batch_", logs)
        if self.write_steps_per_second:
            values.append(event_file.scalar("batch_steps_per_second", 1.0 / (time.perf_counter() - self._batch_began)))
        self._file("train").add(self._train_step, *values)

    def on_test_end(self, logs=None):
        optimizer = self.model.optimizer
        if optimizer is not None and logs:
            step = int(optimizer.iterations.numpy())
            values = [event_file.scalar(f"evaluation_{k}_vs_iterations", v) for k, v in _numbers(logs)]
            self._file("validation").add(step, *values)
            self._file("validation").flush()

    # ---- epochs

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_began = time.perf_counter()
        self._first_iteration = int(self.model.optimizer.iterations.numpy())

    def on_epoch_end(self, epoch, logs=None):
        logs = dict(logs or {})
        train = {k: v for k, v in logs.items() if not k.startswith("val_")}
        validation = {k[4:]: v for k, v in logs.items() if k.startswith("val_")}
        if logs:
            optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
            train["learning_rate"] = float(optimizer.learning_rate)
            if self.write_steps_per_second:
                steps = int(self.model.optimizer.iterations.numpy()) - self._first_iteration
                train["steps_per_second"] = steps / (time.perf_counter() - self._epoch_began)
        for part, values in (("train", train), ("validation", validation)):
            if values:
                self._file(part).add(epoch, *_scalars("epoch_", values))
                self._file(part).flush()
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            os.makedirs(os.path.join(self.log_dir, "train"), exist_ok=True)
            self.model.save_weights(os.path.join(self.log_dir, "train", f"keras_embedding.ckpt-{epoch}.weights.h5"))
            for name in self._embeddings():
                table = np.asarray(self.model.get_layer(name).embeddings.numpy(), "float32")
                np.savetxt(os.path.join(self.log_dir, _tsv(name)), table, "%.9g", delimiter="\t")

    def _write_weights(self, epoch):
        file = self._file("train")
        for layer in self.model.layers:
            for weight in layer.weights:
                value = np.asarray(weight.numpy(), "float64")
                values = [event_file.histogram(f"{weight.path}/histogram", value)]
                if self.write_images:
                    values += [event_file.image(f"{weight.path}/image/{i}", p) for i, p in enumerate(_pictures(value))]
                file.add(epoch, *values)
        file.flush()

    def _write_graph(self):
        from maas.models.functional import Functional
        from maas.models.sequential import Sequential

        if isinstance(self.model, (Functional, Sequential)):
            try:
                text = self.model.to_json()
            except (NotImplementedError, TypeError, ValueError) as e:  # a class without get_config()
                warnings.warn(f"TensorBoard: the layers of the model are not written, received {e}", stacklevel=2)
                return
            self._file("train").add(0, event_file.text_for_plugin("keras", "graph_keras_model", text))
            self._file("train").flush()

    def _embeddings(self):
        from maas.layers import Embedding

        return [layer.name for layer in self.model.layers if isinstance(layer, Embedding)]

    def _write_projector(self):
        metadata, lines, names = self.embeddings_metadata, [], self._embeddings()
        if isinstance(metadata, dict) and set(metadata) - set(names):
            raise ValueError(
                f"TensorBoard: embeddings_metadata must name Embedding layers, {names}, received {sorted(metadata)}"
            )
        for name in names:
            path = metadata.get(name) if isinstance(metadata, dict) else metadata
            lines += ["embeddings {", f"  tensor_name: {_quoted(name)}", f"  tensor_path: {_quoted(_tsv(name))}"]
            if path is not None:
                lines.append(f"  metadata_path: {_quoted(os.fspath(path))}")
            lines.append("}")
        os.makedirs(self.log_dir, exist_ok=True)
        with open(os.path.join(self.log_dir, "projector_config.pbtxt"), "w", encoding="utf-8") as f:
            f.write("\n".join([*lines, ""]))


def _tsv(name):
    """The file of the vectors of a layer, below the folder of logs."""
    return name.replace("/", "_") + ".tsv"


def _quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _numbers(logs):
    """(name, number) of the logs that are numbers."""
    return [(k, float(v)) for k, v in logs.items() if np.ndim(v) == 0]


def _scalars(prefix, logs):
    return [event_file.scalar(prefix + k, v) for k, v in _numbers(logs or {})]


def _pictures(value):
    """A weight as up to three pictures (height, width, channels) of uint8."""
    value = np.squeeze(value)
    if value.ndim == 0 or value.ndim > 3 or value.size == 0:
        return []
    low, high = value.min(), value.max()
    pixels = ((value - low) / (high - low if high > low else 1.0) * 255).astype("uint8")
    if pixels.ndim == 1:
        return [pixels[None, :, None]]
    if pixels.ndim == 2:
        return [(pixels.T if pixels.shape[0] > pixels.shape[1] else pixels)[..., None]]
    return [p[..., None] for p in pixels.transpose(2, 0, 1)[:3]]
