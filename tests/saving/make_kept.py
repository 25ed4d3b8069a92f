"""Writes the files of tests/saving/kept: once for every version of the `.maas` format, never again.

python -m tests.saving.make_kept format1
"""

import sys
from pathlib import Path

import numpy as np

import maas
from tests.saving import models


def main(prefix):
    folder = Path(__file__).with_name("kept")
    folder.mkdir(exist_ok=True)
    for case in ("cnn", "lstm", "transformer"):
        maas.utils.set_random_seed(1)
        model, x = models.compiled(maas, case), models.data(case)[0]
        model.export(folder / f"{prefix}_{case}.maas")
        np.savez_compressed(folder / f"{prefix}_{case}.npz", x=x, y=model.predict(x, verbose=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
