"""Files, processes without scikit-learn, the server, and what goes wrong."""

import json
import subprocess
import sys
import urllib.request

import numpy as np
import pytest
import sklearn.base
from sklearn import cluster, ensemble, linear_model, neighbors, pipeline, preprocessing, svm, tree

import maas
from maas.classical import ClassicalModel, from_sklearn
from maas.saving import load_model
from maas.serving.loading import load
from tests.classical.agree import HOLES, NEW, TEXT, THREE, X, Y, agree


def fitted():
    steps = pipeline.make_pipeline(preprocessing.StandardScaler(), svm.SVC())
    return {
        "forest": ensemble.RandomForestClassifier(7, random_state=0).fit(X, THREE),
        "machine": steps.fit(X, TEXT),
        "line": linear_model.LinearRegression().fit(X, Y),
        "means": cluster.KMeans(3, n_init=1, random_state=0).fit(X),
        "neighbors": neighbors.KNeighborsClassifier().fit(X, np.c_[TEXT, TEXT[::-1]]),
        "boosted": ensemble.HistGradientBoostingClassifier(max_iter=5).fit(HOLES, TEXT),
        "scaler": preprocessing.StandardScaler().fit(X),
    }


SCRIPT = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("sklearn", "scipy", "joblib"):
            raise ImportError(f"{name} is not to be used here")
sys.meta_path.insert(0, Refuse())
import pathlib
import numpy as np
from maas.saving import load_model
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.maas")):
    model = load_model(path)
    x = np.load(sys.argv[1] + "/x.npy")
    for f in model.functions:
        y = getattr(model, f)(x)
        np.savez(f"{sys.argv[1]}/{path.stem}.{f}.npz", *(y if isinstance(y, list) else [y]))
assert not {"sklearn", "scipy"} & set(sys.modules)
"""


def test_files_predict_without_scikit_learn(tmp_path):
    np.save(tmp_path / "x.npy", NEW)
    models = {name: agree(estimator) for name, estimator in fitted().items()}
    for name, model in models.items():
        model.save(tmp_path / f"{name}.maas")
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], check=True)
    for name, model in models.items():
        for f in model.functions:
            want = getattr(model, f)(NEW)
            with np.load(tmp_path / f"{name}.{f}.npz") as found:
                for a, b in zip(found.values(), want if isinstance(want, list) else [want]):
                    np.testing.assert_array_equal(a, b, f"{name}.{f}")


def test_a_file_is_a_model_again(tmp_path):
    model = from_sklearn(fitted()["machine"], name="words")
    path = tmp_path / "m.maas"
    model.save(path)
    for again in (load_model(path), load(path)):
        assert isinstance(again, ClassicalModel) and again.name == "words"
        assert again.functions == model.functions and repr(again) == repr(model)
        np.testing.assert_array_equal(again.predict(NEW), model.predict(NEW))
        assert set(again.weights) == set(model.weights)
        with pytest.raises(ValueError, match="a model that was loaded is its file"):
            again.save(tmp_path / "n.maas")
    with pytest.raises(ValueError, match="saved as a .maas file, received .*m.keras"):
        model.save(tmp_path / "m.keras")
    with pytest.raises(FileExistsError):
        model.save(path, overwrite=False)


def test_functions_share_their_variables():
    model = from_sklearn(ensemble.RandomForestClassifier(7).fit(X, THREE))
    assert sum(n.endswith("trees_nodes") for n in model.weights) == 1


def ask(url, name, rows):
    body = {"inputs": [{"name": "x", "shape": list(rows.shape), "datatype": "FP64", "data": rows.ravel().tolist()}]}
    request = urllib.request.Request(
        f"{url}/v2/models/{name}/infer", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as reply:
        outputs = json.load(reply)["outputs"]
    return {o["name"]: np.array(o["data"]).reshape(o["shape"]) for o in outputs}


def test_the_server_answers(tmp_path):
    estimators = fitted()
    paths = {}
    for name, estimator in estimators.items():
        paths[name] = tmp_path / f"{name}.maas"
        from_sklearn(estimator).save(paths[name])
    with maas.Server(paths, port=0) as server:
        found = {name: ask(server.url, name, NEW[:5]) for name in paths}
    for name, estimator in estimators.items():
        outputs = found[name]
        if name == "neighbors":
            assert set(outputs) == {"predict", "predict_proba_0", "predict_proba_1"}
        elif name == "scaler":
            np.testing.assert_allclose(outputs["transform"], estimator.transform(NEW[:5]), rtol=1e-12)
        elif name in ("machine", "boosted"):
            # Labels that are text are served as their places.
            np.testing.assert_array_equal(estimator.classes_[outputs["predict"]], estimator.predict(NEW[:5]))
        else:
            np.testing.assert_allclose(outputs["predict"], estimator.predict(NEW[:5]), rtol=1e-12)
        if hasattr(estimator, "predict_proba") and name != "neighbors":
            np.testing.assert_allclose(
                outputs["predict_proba"], estimator.predict_proba(NEW[:5]), rtol=1e-9, atol=1e-12
            )


def test_a_model_in_hand_is_served():
    model = from_sklearn(fitted()["line"])
    with maas.Server(model, name="line", port=0) as server:
        np.testing.assert_allclose(ask(server.url, "line", NEW[:3])["predict"], model.predict(NEW[:3]))
    np.testing.assert_array_equal(np.asarray(model(NEW)), model.predict(NEW))
    np.testing.assert_array_equal(model.predict_on_batch(NEW), model.predict(NEW))


def test_what_x_may_be():
    model = from_sklearn(linear_model.LogisticRegression().fit(X, THREE))
    want = model.predict_proba(np.round(NEW))
    for x in (np.round(NEW).astype("int32"), np.round(NEW).astype("float32"), np.round(NEW).tolist(),
              np.asfortranarray(np.round(NEW)), np.repeat(np.round(NEW), 2, axis=0)[::2]):  # fmt: skip
        np.testing.assert_array_equal(model.predict_proba(x), want)
    with pytest.raises(ValueError, match=r"takes x of shape \(rows, 6 features\), received shape \(40, 5\)"):
        model.predict(NEW[:, :5])
    with pytest.raises(ValueError, match=r"LogisticRegression takes x of shape \(rows, 6 features\), received.*\(6,\)"):
        model.predict(NEW[0])
    with pytest.raises(ValueError, match=r"at least one row is needed, received shape \(0, 6\)"):
        model.predict(NEW[:0])
    with pytest.raises(TypeError, match="x must hold numbers, received <U1"):
        model.predict(np.array([list("abcdef")]))
    for bad in (np.nan, np.inf):
        x = NEW.copy()
        x[3, 2] = bad
        with pytest.raises(ValueError, match=f"LogisticRegression takes no NaN or infinity, received {bad} among"):
            model.predict(x)
    huge = np.full((1, 6), 1e200)
    assert model.predict(huge).shape == (1,)  # its square is infinite, it is not
    x[3, 2] = -np.inf
    holes = from_sklearn(tree.DecisionTreeClassifier().fit(HOLES, THREE))
    with pytest.raises(ValueError, match="DecisionTreeClassifier takes no infinity, received -inf among"):
        holes.predict(x)
    assert hasattr(model, "decision_function") and not hasattr(model, "transform")
    with pytest.raises(AttributeError, match="LogisticRegression has no transform as it was fitted; it has predict, p"):
        model.transform(NEW)
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        model.fit(X)


class Own(linear_model.LinearRegression):
    """A subclass may predict anything."""


class Foreign(sklearn.base.BaseEstimator):
    def fit(self, x, y):
        self.fitted_ = True
        return self


def test_what_cannot_be_converted():
    with pytest.raises(ValueError, match=r"call fit first, received an unfitted Ridge\(\)"):
        from_sklearn(linear_model.Ridge())
    with pytest.raises(ValueError, match=r"call fit first"):
        from_sklearn(pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.Ridge()))
    with pytest.raises(NotImplementedError, match="supported are ARDRegression, .*; received .*test_model.Own$"):
        from_sklearn(Own().fit(X, Y))
    with pytest.raises(NotImplementedError, match="; received sklearn.cluster.*DBSCAN$"):
        from_sklearn(cluster.DBSCAN().fit(X))
    with pytest.raises(NotImplementedError, match="; received .*Foreign$"):
        from_sklearn(pipeline.make_pipeline(preprocessing.StandardScaler(), Foreign()).fit(X, Y))
    with pytest.raises(TypeError, match="expected a fitted estimator, received 3"):
        from_sklearn(3)
    with pytest.raises(NotImplementedError, match="SVC needs rows with weight of all 3 classes, received 2"):
        from_sklearn(svm.SVC().fit(X, THREE, sample_weight=np.where(THREE == 2, 0.0, 1.0)))
    with pytest.raises(NotImplementedError, match="SVC supports the kernels linear, poly, .*received <function"):
        from_sklearn(svm.SVC(kernel=lambda a, b: a @ b.T).fit(X, THREE))
    with pytest.raises(NotImplementedError, match="KNeighborsClassifier supports weights='uniform' and 'distance'"):
        from_sklearn(neighbors.KNeighborsClassifier(weights=lambda d: d).fit(X, THREE))


def test_threads_and_chunks_change_no_bit():
    forest = from_sklearn(ensemble.RandomForestRegressor(9, random_state=0).fit(X, Y))
    machine = from_sklearn(svm.SVR().fit(X, Y))
    x = np.random.default_rng(5).standard_normal((3000, 6))
    threads = maas.get_num_threads()
    for model in (forest, machine):
        want = model.predict(x)
        model._rows = 700
        model.__dict__.pop("predict")
        np.testing.assert_array_equal(model.predict(x), want)
        try:
            maas.set_num_threads(1)
            np.testing.assert_array_equal(model.predict(x), want)
        finally:
            maas.set_num_threads(threads)


def test_damaged_metadata_is_one_error(tmp_path):
    from maas import _core

    for text in ("{}", "[]", "nonsense", '{"estimator": "A", "rows": "x", "takes": "nan"}'):
        writer = _core.ModelWriter()
        writer.set("classical", text)
        path = tmp_path / "x.maas"
        path.write_bytes(b"".join(bytes(p) for p in writer.encode()))
        with pytest.raises(ValueError, match="damaged metadata of a classical model"):
            load_model(path)


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"from_sklearn needs scikit-learn: pip install 'maas\[classical\]'"):
        from_sklearn(linear_model.Ridge())
