"""Train and predict, pipelines, clusters, and cross validation in two loky processes."""

import os

import joblib
import numpy as np
from joblib.externals.loky import get_reusable_executor
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris, make_blobs
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

iris = load_iris()
x_train, x_test, y_train, y_test = train_test_split(
    iris.data, iris.target, test_size=0.3, random_state=0, stratify=iris.target
)
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
model.fit(x_train, y_train)
assert accuracy_score(y_test, model.predict(x_test)) > 0.9
assert np.allclose(model.predict_proba(x_test).sum(axis=1), 1)

forest = RandomForestClassifier(n_estimators=30, random_state=0).fit(x_train, y_train)
assert forest.score(x_test, y_test) > 0.85

line = LinearRegression().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
assert np.allclose([line.coef_[0], line.intercept_], [2.0, 1.0])
assert PCA(2).fit(iris.data).explained_variance_ratio_.sum() > 0.97

points, _ = make_blobs(300, centers=[[0, 0], [10, 0], [0, 10]], cluster_std=0.5, random_state=1)
centers = KMeans(3, n_init=5, random_state=1).fit(points).cluster_centers_
assert sorted(np.rint(centers).astype(int).tolist()) == [[0, 0], [0, 10], [10, 0]]

# Two worker processes, started afresh: they import everything themselves.
with joblib.parallel_config(backend="loky", n_jobs=2):
    scores = cross_val_score(model, iris.data, iris.target, cv=4)
assert len(scores) == 4
assert scores.mean() > 0.93


def square(n):
    """Defined here, not in a module: loky sends it by value."""
    return n * n, os.getpid()


done = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(square)(n) for n in range(20))
assert [value for value, _ in done] == [n * n for n in range(20)]
assert os.getpid() not in {pid for _, pid in done}
get_reusable_executor().shutdown(wait=True)

joblib.dump(model, "model.joblib")
assert (joblib.load("model.joblib").predict(x_test) == model.predict(x_test)).all()

print("ok: scikit_learn")
