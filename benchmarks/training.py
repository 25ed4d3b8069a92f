"""Training epochs against the installed peers: the same data, order, batch size and Adam."""

from benchmarks import runner
from benchmarks.baselines import TRAINING

ROWS = [("digits-cnn", 1437, 32), ("tutorial-cnn-28", 2048, 32), ("mlp-784-512-512-10", 2048, 128)]


def main():
    options = runner.arguments(__doc__).parse_args()
    rows = []
    for net, count, batch in ROWS:
        label = f"{net}, epoch of {count}, batch {batch}"
        if not runner.wanted(label, options.rows):
            continue
        task = {"kind": "train", "net": net, "rows": count, "batch": batch, "threads": options.threads}
        rows.append(runner.summarize(label, runner.compare(task, TRAINING, options.rounds, options.seconds)))
    runner.show(rows, "training, float32")
    runner.save(rows, "training")


if __name__ == "__main__":
    main()
