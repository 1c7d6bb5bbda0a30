"""Thread pools of BLAS and OpenMP keep to the session's CPUs, not to the host's."""

import os

import numpy as np
import scipy.linalg
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_info, threadpool_limits

cpus = int(os.environ["OMP_NUM_THREADS"])
assert cpus >= 1
assert int(os.environ["OPENBLAS_NUM_THREADS"]) == cpus
assert int(os.environ["MKL_NUM_THREADS"]) == cpus

# Work for each of them, so that the pools have been started: numpy's BLAS,
# scipy's LAPACK, scikit-learn's OpenMP.
rng = np.random.default_rng(5)
a = rng.standard_normal((700, 700))
assert np.allclose(np.linalg.inv(a) @ a, np.eye(700), atol=1e-6)
lu = scipy.linalg.lu_factor(a)
assert np.allclose(a @ scipy.linalg.lu_solve(lu, a[:, 0]), a[:, 0])
assert KMeans(4, n_init=1, random_state=0).fit(rng.standard_normal((4000, 3))).inertia_ > 0

pools = threadpool_info()
for pool in pools:
    print(pool["user_api"], pool["internal_api"], pool["num_threads"], os.path.basename(pool["filepath"]))
    assert 1 <= pool["num_threads"] <= cpus, pool
assert {pool["user_api"] for pool in pools} == {"blas", "openmp"}, pools
# The main thread, and what the pools hold besides it.
threads = len(os.listdir("/proc/self/task"))
assert threads <= 16 + cpus * len(pools), threads

with threadpool_limits(limits=1):
    assert {pool["num_threads"] for pool in threadpool_info()} == {1}
    a @ a
assert [pool["num_threads"] for pool in threadpool_info()] == [pool["num_threads"] for pool in pools]

print("ok: blas_threads")
