"""Go on with a training run that was killed."""

import contextlib
import json
import os
import shutil

import numpy as np

from maas.callbacks.callback import Callback
from maas.data import rng_state
from maas.saving import weights_file
from maas.saving.archive import read_archive, write_archive
from maas.saving.atomic import atomic_write
from maas.saving.config_json import parse_json
from maas.saving.files import read_file

WEIGHTS, METRICS, STATE = "model.weights.h5", "metrics.bin", "training.json"


class BackupAndRestore(Callback):
    """Saves the state of `fit`, and takes it up again when the same program is started after it was killed.

    A backup is one file that is replaced as a whole: weights, optimizer, metrics, the states of all random generators,
    and the place in the data. A run that is resumed ends with the same weights, to the bit, as one that was never
    killed, if its data and everything else it does are the same. Data from a generator are skipped up to the place.

    Args:
        backup_dir: str or path, a folder for this run alone.
        save_freq: "epoch" or int, a number of batches.
        double_checkpoint: bool, whether the backup before the last one is kept too.
        delete_checkpoint: bool, whether the backups are deleted when training ends, and the folder if it is
            empty then.

    Raises:
        ValueError: for an empty folder name or another `save_freq`.
    """

    def __init__(self, backup_dir, save_freq="epoch", double_checkpoint=False, delete_checkpoint=True):
        super().__init__()
        if not backup_dir:
            raise ValueError(f"BackupAndRestore: backup_dir must be a folder, received {backup_dir!r}")
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(f"BackupAndRestore: save_freq must be 'epoch' or a positive int, received {save_freq!r}")
        self.backup_dir, self.save_freq = os.fspath(backup_dir), save_freq
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self._path = os.path.join(self.backup_dir, "latest.backup")
        self._previous_path = self._path + ".bkp"
        self._epoch, self._batches = 0, 0

    def _batch_due(self, batch):
        """True if batches are counted; else no batch needs logs."""
        return self.save_freq != "epoch"

    # ---- saving

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches % self.save_freq == 0:
            self._save(self._epoch, batch + 1)

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq == "epoch":
            self._save(epoch + 1, None)

    def _save(self, epoch, step):
        model = self.model
        data = model._fit_data.position()
        state = {
            "epoch": epoch,
            "step": step,
            "batches": self._batches,
            "passes": data["passes"],
            "taken": data["taken"],
            "pass_rng": rng_state.to_json(data["rng"]),
            "rng": rng_state.to_json(rng_state.get()),
            "seeds": [g.state.numpy().tolist() for g in _generators(model)],
        }
        # Weight files leave metrics out; those of an epoch that is half done belong to its logs.
        metrics = b"".join(v.numpy().tobytes() for v in model.metrics_variables)
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._path):
            with open(self._path, "rb") as old, atomic_write(self._previous_path) as file:
                shutil.copyfileobj(old, file)
        with atomic_write(self._path) as file:
            weights = weights_file.weights_bytes(model)
            write_archive(file, {WEIGHTS: weights, METRICS: metrics, STATE: json.dumps(state).encode()})

    # ---- restoring

    def on_train_begin(self, logs=None):
        self._batches = 0
        paths = [p for p in (self._path, self._previous_path) if os.path.exists(p)]
        for path in paths:
            try:
                self._restore(path)
                return
            except ValueError as e:
                if path == paths[-1]:
                    raise ValueError(f"BackupAndRestore: the backup {path!r} does not fit ({e})") from None

    def _restore(self, path):
        model = self.model
        members = read_archive(read_file(path))
        if set(members) != {WEIGHTS, METRICS, STATE}:
            raise ValueError(f"a backup holds {WEIGHTS}, {METRICS} and {STATE}, received {sorted(members)[:5]}")
        state = _checked(parse_json(members[STATE], STATE))
        generators = _generators(model)
        if len(generators) != len(state["seeds"]):
            raise ValueError(f"the model has {len(generators)} random generators, received {len(state['seeds'])}")
        values = _metric_values(model.metrics_variables, members[METRICS])
        if model.optimizer is not None and not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        weights_file.load_weights_bytes(model, members[WEIGHTS])
        for generator, seed in zip(generators, state["seeds"]):
            generator.state.assign(seed)
        for variable, value in zip(model.metrics_variables, values):
            variable.assign(value)
        position = {"passes": state["passes"], "taken": state["taken"], "rng": state["pass_rng"]}
        model._fit_data.seek(position, state["step"])
        rng_state.set(state["rng"])
        self._batches = state["batches"]
        model._set(_initial_epoch=state["epoch"], _fit_step=state["step"])

    def on_train_end(self, logs=None):
        if not self.delete_checkpoint:
            return
        for path in (self._path, self._previous_path):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        with contextlib.suppress(OSError):  # files of others are in it
            os.rmdir(self.backup_dir)


def _generators(model):
    """The seed generators of a model and its layers, each once, and the one of draws without a seed."""
    from maas.random.seed_generator import global_seed_generator

    found = {}
    for layer in [model, *model._flatten_layers()]:
        for generator in layer._seed_generators:
            found.setdefault(id(generator), generator)
    return [*found.values(), global_seed_generator()]


def _metric_values(variables, data):
    """One array per variable, from their bytes in a row."""
    like = [v.numpy() for v in variables]
    ends = np.cumsum([0, *(a.nbytes for a in like)])
    if ends[-1] != len(data):
        raise ValueError(f"{METRICS} must hold {ends[-1]} bytes for the metrics, received {len(data)}")
    return [np.frombuffer(data[b:e], a.dtype).reshape(a.shape) for a, b, e in zip(like, ends, ends[1:])]


def _checked(state):
    """The state with its random states parsed: nothing of the model changes before all of it is known to be good."""

    def number(value):
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 60

    ok = isinstance(state, dict) and all(number(state.get(k)) for k in ("epoch", "batches", "passes", "taken"))
    ok = ok and (state.get("step") is None or number(state["step"])) and isinstance(state.get("seeds"), list)
    if not ok or not all(isinstance(s, list) and len(s) == 2 and all(map(number, s)) for s in state["seeds"]):
        found = sorted(state)[:10] if isinstance(state, dict) else type(state).__name__
        raise ValueError(f"{STATE} is damaged, received {found}")
    try:
        return {**state, **{k: rng_state.from_json(state.get(k)) for k in ("pass_rng", "rng")}}
    except ValueError as e:
        raise ValueError(f"{STATE} is damaged ({e})") from None
