# %% [markdown]
# # Choosing a network by cross-validation
#
# A small network is a step of a scikit-learn pipeline. `cross_val_score` measures it, `GridSearchCV` chooses its size
# and learning rate, and the rows of the test set are seen once, at the end.

# %%
import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import maas as keras
from maas.layers import Dense, Input
from maas.wrappers import SKLearnClassifier

keras.utils.set_random_seed(0)
x, y = load_wine(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, stratify=y, random_state=0)

# %% [markdown]
# The function makes a compiled model for the data that it gets: `X` has the rows of one fold, `y` is one-hot. The
# scaler before it is fitted on the same fold, so that nothing leaks from the rows that are held out.


# %%
def network(X, y, units=8, learning_rate=0.01):
    model = keras.Sequential(
        [Input((X.shape[1],)), Dense(units, activation="relu"), Dense(y.shape[1], activation="softmax")]
    )
    model.compile(keras.optimizers.Adam(learning_rate), "categorical_crossentropy")
    return model


pipeline = make_pipeline(StandardScaler(), SKLearnClassifier(network, fit_kwargs={"epochs": 30, "verbose": 0}))
folds = StratifiedKFold(4, shuffle=True, random_state=0)
scores = cross_val_score(pipeline, x_train, y_train, cv=folds)
print("accuracy of each fold:", np.round(scores, 3))

# %% [markdown]
# Four candidates, four folds each. The best one is trained again on all training rows.

# %%
candidates = [{"units": units, "learning_rate": rate} for units in (2, 32) for rate in (0.001, 0.02)]
search = GridSearchCV(pipeline, {"sklearnclassifier__model_kwargs": candidates}, cv=folds)
search.fit(x_train, y_train)
for candidate, score in zip(candidates, search.cv_results_["mean_test_score"]):
    print(candidate, round(score, 3))
print("best:", search.best_params_["sklearnclassifier__model_kwargs"])

# %%
print("test accuracy:", round(search.score(x_test, y_test), 3))
