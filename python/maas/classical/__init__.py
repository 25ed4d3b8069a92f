"""Fitted scikit-learn estimators as graphs: `from_sklearn`. Needs scikit-learn (`pip install 'maas[classical]'`) to
convert, not to load or to predict.
"""

from maas import missing_names
from maas.classical.convert import from_sklearn
from maas.classical.model import ClassicalModel
from maas.classical.tree_tables import tree_ensemble, tree_tables

__all__ = ["ClassicalModel", "from_sklearn", "tree_ensemble", "tree_tables"]

__getattr__ = missing_names.getattr_of(__name__)
