"""Converted scikit-learn models against scikit-learn itself, on one row and on many: `python -m benchmarks.classical`.

Both run in this process, in turns, on the same rows; outputs are compared. A pause lets the threads of one side go to
sleep before the other is timed.
"""

import argparse
import json
import os
import time

# Threads of OpenBLAS that wait by spinning would take the cores of whoever comes next.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")

import numpy as np  # noqa: E402

from benchmarks import report  # noqa: E402

FEATURES, TRAINED = 20, 5000


def rows():
    """label -> (unfitted estimator, target), on FEATURES features and TRAINED rows."""
    from sklearn import (
        cluster,
        decomposition,
        discriminant_analysis,
        ensemble,
        linear_model,
        naive_bayes,
        neighbors,
        neural_network,
        pipeline,
        preprocessing,
        svm,
        tree,
    )  # fmt: skip

    scaled = pipeline.make_pipeline(preprocessing.StandardScaler(), decomposition.PCA(10), svm.SVC())
    return {
        "LinearRegression": (linear_model.LinearRegression(), "y"),
        "LogisticRegression 5 classes": (linear_model.LogisticRegression(), "five"),
        "LinearDiscriminantAnalysis": (discriminant_analysis.LinearDiscriminantAnalysis(), "five"),
        "SVC rbf 5 classes": (svm.SVC(), "five"),
        "SVR rbf": (svm.SVR(), "y"),
        "DecisionTreeClassifier": (tree.DecisionTreeClassifier(random_state=0), "five"),
        "RandomForestClassifier 100": (ensemble.RandomForestClassifier(random_state=0), "five"),
        "RandomForestRegressor 100 depth 8": (ensemble.RandomForestRegressor(max_depth=8, random_state=0), "y"),
        "GradientBoostingClassifier 100x5": (ensemble.GradientBoostingClassifier(random_state=0), "five"),
        "HistGradientBoostingRegressor 100": (ensemble.HistGradientBoostingRegressor(random_state=0), "y"),
        "HistGradientBoostingClassifier 100x5": (ensemble.HistGradientBoostingClassifier(random_state=0), "five"),
        "AdaBoostClassifier 50": (ensemble.AdaBoostClassifier(random_state=0), "five"),
        "IsolationForest 100": (ensemble.IsolationForest(random_state=0), "y"),
        "KNeighborsClassifier 5": (neighbors.KNeighborsClassifier(), "five"),
        "GaussianNB": (naive_bayes.GaussianNB(), "five"),
        "KMeans 8": (cluster.KMeans(8, n_init=1, random_state=0), "y"),
        "MLPClassifier 100": (neural_network.MLPClassifier(max_iter=30, random_state=0), "five"),
        "PCA 10": (decomposition.PCA(10), "y"),
        "StandardScaler": (preprocessing.StandardScaler(), "y"),
        "scaler, PCA, SVC": (scaled, "five"),
    }


def method_of(model):
    """What is timed: probabilities where there are any."""
    return next(f for f in ("predict_proba", "predict", "transform") if f in model.functions)


def least(run, seconds):
    """Least seconds of one call."""
    start = time.perf_counter()
    run()
    once = time.perf_counter() - start
    calls, best, end = max(1, int(2e-3 / max(once, 1e-7))), float("inf"), time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        for _ in range(calls):
            run()
        now = time.perf_counter()
        best = min(best, (now - start) / calls)
        if now > end:
            return best


def measure(label, estimator, target, batch, rounds, seconds):
    """Median seconds of both sides and their ratio."""
    from maas.classical import from_sklearn

    rng = np.random.default_rng(0)
    x = rng.standard_normal((TRAINED, FEATURES))
    y = x @ rng.standard_normal(FEATURES) + rng.standard_normal(TRAINED)
    targets = {"y": y, "five": np.digitize(y, np.quantile(y, [0.2, 0.4, 0.6, 0.8]))}
    estimator.fit(x, targets[target])
    model = from_sklearn(estimator)
    method, new = method_of(model), rng.standard_normal((max(batch), FEATURES))
    found = []
    for n in batch:
        part = np.ascontiguousarray(new[:n])
        theirs, ours = getattr(estimator, method), getattr(model, method)
        np.testing.assert_allclose(ours(part), theirs(part), rtol=1e-6, atol=1e-8, err_msg=label)
        times = {"scikit-learn": [], "maas": []}
        for _ in range(rounds):
            for name, f in (("scikit-learn", theirs), ("maas", ours)):
                time.sleep(0.02)
                times[name].append(least(lambda f=f, part=part: f(part), seconds))
        a, b = (float(np.median(t)) for t in times.values())
        found.append({"row": label, "batch": n, "method": method, "scikit-learn": a, "maas": b, "ratio": a / b})
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help="parts of labels; default all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.02)
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 10_000])
    options = parser.parse_args()
    import warnings

    warnings.simplefilter("ignore")
    found = []
    for label, (estimator, target) in rows().items():
        if options.rows and not any(r.lower() in label.lower() for r in options.rows):
            continue
        for r in measure(label, estimator, target, options.batch, options.rounds, options.seconds):
            found.append(r)
            print(
                f"{r['row']}, {r['batch']} rows, {r['method']}: {r['ratio']:.1f}x; "
                f"scikit-learn {r['scikit-learn'] * 1e6:.1f} us, maas {r['maas'] * 1e6:.1f} us",
                flush=True,
            )
    report.RESULTS.mkdir(exist_ok=True)
    (report.RESULTS / "classical.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
