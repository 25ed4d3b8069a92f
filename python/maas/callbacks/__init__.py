"""Callbacks: code that runs during `fit`, `evaluate` and `predict`."""

from maas import missing_names
from maas.callbacks.backup_and_restore import BackupAndRestore
from maas.callbacks.callback import Callback
from maas.callbacks.callback_list import CallbackList
from maas.callbacks.csv_logger import CSVLogger
from maas.callbacks.early_stopping import EarlyStopping
from maas.callbacks.history import History
from maas.callbacks.model_checkpoint import ModelCheckpoint
from maas.callbacks.progbar_logger import ProgbarLogger
from maas.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from maas.callbacks.remote_monitor import RemoteMonitor
from maas.callbacks.simple import LambdaCallback, LearningRateScheduler, TerminateOnNaN
from maas.callbacks.swap_ema_weights import SwapEMAWeights

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TerminateOnNaN",
]

__getattr__ = missing_names.getattr_of(__name__)
