"""Training epochs against the installed peers: the same data, order, batch size and Adam."""

import tempfile

from benchmarks import runner
from benchmarks.baselines import TRAINING
from benchmarks.rows import Row


def rows():
    """(row, batch of a step); `row.batch` is the size of the epoch."""
    from maas import zoo

    return [
        (Row("digits CNN", zoo.DigitsConvNet, batch=1437), 32),
        (Row("tutorial CNN 28x28", zoo.TutorialConvNet, batch=2048), 32),
        (Row("MLP 784-512-512-10", zoo.MLP, batch=2048), 128),
    ]


def main():
    options = runner.arguments(__doc__).parse_args()
    contenders, done = runner.Contenders(), []
    names = [n for n in options.only or TRAINING if options.all or n != "torch_compile" or options.only]
    try:
        for row, batch in rows():
            label = f"{row.label}, epoch of {row.batch}, batch {batch}"
            if not runner.wanted(label, options.rows):
                continue
            with tempfile.TemporaryDirectory() as folder:
                row.net().save(folder)
                task = {"kind": "train", "folder": folder, "batch": batch, "threads": options.threads}
                result = runner.compare(contenders, task, names, options.rounds, options.seconds)
            done.append(runner.summarize(label, result))
    finally:
        contenders.close()
    runner.show(done, "training, float32")
    runner.save(done, "training")
    runner.plot("training")


if __name__ == "__main__":
    main()
