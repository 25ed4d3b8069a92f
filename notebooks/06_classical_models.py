# %% [markdown]
# # A support vector machine, a forest and a network
#
# Three ways to read handwritten digits, compared by cross-validation. The models of scikit-learn become graphs, and one
# server answers for all three.

# %%
import json
import os
import tempfile
import time
import urllib.request

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import maas as keras
from maas import layers, models
from maas.classical import from_sklearn

keras.utils.set_random_seed(0)

# %%
(train_images, train_labels), (test_images, test_labels) = keras.datasets.digits.load_data()
train_images, test_images = train_images / 255.0, test_images / 255.0
train_labels, test_labels = train_labels.astype("int64"), test_labels.astype("int64")
print("training images:", train_images.shape)
print("test images:    ", test_images.shape)

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    plt = None  # the plots need: pip install 'maas[plot]'

if plt:
    plt.figure(figsize=(6, 3))
    for i in range(10):
        plt.subplot(2, 5, i + 1)
        plt.imshow(train_images[i], cmap="gray_r")
        plt.title(train_labels[i])
        plt.axis("off")
    plt.show()

# %% [markdown]
# ## The models
#
# For scikit-learn an image is a row of 64 numbers; the network sees it as it is.


# %%
def svm():
    return make_pipeline(StandardScaler(), SVC(C=5))


def forest():
    return RandomForestClassifier(200, random_state=0)


def cnn():
    model = models.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def rows(images):
    return images.reshape(len(images), -1)


def pixels(images):
    return images[..., None].astype("float32")


# %% [markdown]
# ## Cross-validation
#
# Each model is trained on four fifths of the training images and tried on the rest, five times. What is tried of the
# first two is their graph.

# %%
scores = {"svm": [], "forest": [], "cnn": []}
for learn, held in StratifiedKFold(5, shuffle=True, random_state=0).split(train_images, train_labels):
    for name, make in (("svm", svm), ("forest", forest)):
        graph = from_sklearn(make().fit(rows(train_images[learn]), train_labels[learn]))
        scores[name].append(np.mean(graph.predict(rows(train_images[held])) == train_labels[held]))
    network = cnn()
    network.fit(pixels(train_images[learn]), train_labels[learn], epochs=12, batch_size=32, verbose=0)
    scores["cnn"].append(network.evaluate(pixels(train_images[held]), train_labels[held], verbose=0)[1])
for name, found in scores.items():
    print(f"{name:7} {np.mean(found):.3f} +- {np.std(found):.3f}")

# %%
if plt:
    plt.figure(figsize=(5, 3))
    plt.boxplot(list(scores.values()))
    plt.xticks(range(1, len(scores) + 1), list(scores))
    plt.ylabel("accuracy of held images")
    plt.grid(axis="y")
    plt.show()

# %% [markdown]
# ## From estimators to graphs
#
# `from_sklearn` gives the same labels and probabilities. One image costs a small part of what it cost before.

# %%
estimators = {
    "svm": svm().fit(rows(train_images), train_labels),
    "forest": forest().fit(rows(train_images), train_labels),
}
graphs = {name: from_sklearn(e, name=name) for name, e in estimators.items()}
for name, estimator in estimators.items():
    graph, x = graphs[name], rows(test_images)
    assert np.array_equal(graph.predict(x), estimator.predict(x))
    times = []
    for model in (estimator, graph):
        start = time.perf_counter()
        for _ in range(50):
            model.predict(x[:1])
        times.append((time.perf_counter() - start) / 50)
    print(f"{name:7} one image: scikit-learn {times[0] * 1e6:.0f} us, graph {times[1] * 1e6:.0f} us")

# %% [markdown]
# ## One server for all three
#
# The files need neither scikit-learn nor Python classes; `maas serve svm.maas` would do the same from a shell.

# %%
network = cnn()
network.fit(pixels(train_images), train_labels, epochs=15, batch_size=32, verbose=0)
folder = tempfile.TemporaryDirectory()
files = {name: os.path.join(folder.name, f"{name}.maas") for name in scores}
for name, model in {**graphs, "cnn": network}.items():
    model.save(files[name])
    print(f"{name}.maas: {os.path.getsize(files[name]) / 1e6:.2f} MB")


# %%
def ask(url, name, x, datatype, tensor):
    """The answers of a served model, by the Open Inference Protocol."""
    inputs = [{"name": tensor, "shape": list(x.shape), "datatype": datatype, "data": x.ravel().tolist()}]
    request = urllib.request.Request(
        f"{url}/v2/models/{name}/infer", json.dumps({"inputs": inputs}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        outputs = json.load(reply)["outputs"]
    return [np.reshape(o["data"], o["shape"]) for o in outputs]


with keras.Server(files, port=0, max_batch_size=512) as server:
    votes = np.zeros((len(test_images), 10))
    for name in ("svm", "forest"):
        labels = ask(server.url, name, rows(test_images), "FP64", "x")[0].astype(int)
        print(f"{name:7} served: {np.mean(labels == test_labels):.3f}")
        votes[np.arange(len(labels)), labels] += 1
    chances = ask(server.url, "cnn", pixels(test_images), "FP32", network.inputs[0].name)[0]
    print(f"cnn     served: {np.mean(chances.argmax(-1) == test_labels):.3f}")
folder.cleanup()

# %% [markdown]
# A label that two of the three agree on wins; else the network decides.

# %%
together = (votes + 1.1 * chances).argmax(-1)
print(f"test accuracy: {np.mean(together == test_labels):.3f}")
