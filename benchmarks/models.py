"""Inference of whole models against the installed peers."""

from benchmarks import nets, runner
from benchmarks.baselines import INFERENCE

ROWS = [
    ("mlp-16-16-4", 1),
    ("digits-cnn", 1),
    ("tutorial-cnn-28", 1),
    ("tutorial-cnn-28", 32),
    ("mlp-784-512-512-10", 1),
]


def main():
    options = runner.arguments(__doc__).parse_args()
    rows = []
    for net, batch in ROWS:
        label = f"{net} batch {batch}"
        if not runner.wanted(label, options.rows):
            continue
        task = {"kind": "infer", "net": net, "batch": batch, "threads": options.threads}
        reference = nets.reference(net, nets.weights(net), nets.inputs(net, batch))
        result = runner.compare(task, INFERENCE, options.rounds, options.seconds, reference)
        rows.append({**runner.summarize(label, result), "macs": nets.macs(net) * batch})
    runner.show(rows, "inference, float32")
    runner.save(rows, "models")


if __name__ == "__main__":
    main()
