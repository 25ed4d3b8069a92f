"""Inference of whole networks of `maas.zoo` against the installed peers (benchmarks/model_rows.py)."""

from benchmarks import runner
from benchmarks.model_rows import rows


def main():
    options = runner.arguments(__doc__).parse_args()
    found = runner.chosen(rows(), options)
    if found:
        runner.measure_rows(found, options, "inference, float32", "models")


if __name__ == "__main__":
    main()
