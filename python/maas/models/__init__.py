"""Models: `Sequential`, functional `Model(inputs, outputs)`, subclasses of `Model`."""

from maas.missing_names import missing
from maas.models.cloning import clone_model
from maas.models.functional import Functional
from maas.models.model import Model, model_from_json
from maas.models.sequential import Sequential

__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]


def __getattr__(name):
    # The file formats are loaded when they are used.
    if name in ("load_model", "save_model"):
        from maas import saving

        return getattr(saving, name)
    raise missing(__name__, name)
