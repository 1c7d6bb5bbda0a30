"""Array algebra: solve, SVD, FFT, seeded random numbers, dates, save and load."""

import numpy as np

a = np.arange(12, dtype=np.float64).reshape(3, 4)
assert a.sum(axis=0).tolist() == [12.0, 15.0, 18.0, 21.0]
assert (a[1:, ::2] * np.array([10, 100])).tolist() == [[40.0, 600.0], [80.0, 1000.0]]
assert a[a % 5 == 0].tolist() == [0.0, 5.0, 10.0]

# Linear algebra, by the BLAS and LAPACK that the wheel brings.
m = np.array([[4.0, 1.0, 2.0], [1.0, 3.0, 0.0], [2.0, 0.0, 5.0]])
x = np.linalg.solve(m, np.array([12.0, 7.0, 17.0]))
assert np.allclose(x, [1.0, 2.0, 3.0])
assert np.isclose(np.linalg.det(m), 43.0)
u, s, vt = np.linalg.svd(a)
assert np.allclose((u * s) @ vt[:3], a)
assert np.linalg.matrix_rank(a) == 2

rng = np.random.default_rng(7)
big = rng.standard_normal((400, 400))
q, r = np.linalg.qr(big)
assert np.allclose(q @ r, big)
assert np.allclose(q.T @ q, np.eye(400))

# 50 Hz and 120 Hz, found again in a second of samples.
t = np.arange(1000) / 1000
spectrum = np.abs(np.fft.rfft(np.sin(2 * np.pi * 50 * t) + 0.5 * np.sin(2 * np.pi * 120 * t)))
assert sorted(np.argsort(spectrum)[-2:].tolist()) == [50, 120]
assert np.allclose(spectrum[[50, 120]], [500.0, 250.0])

assert np.random.default_rng(42).integers(0, 100, 5).tolist() == [8, 77, 65, 43, 43]
sample = np.random.default_rng(1).normal(10, 2, 200_000)
assert abs(sample.mean() - 10) < 0.03
assert abs(sample.std() - 2) < 0.03

days = np.arange("2024-02-27", "2024-03-02", dtype="datetime64[D]")
assert [str(day) for day in days[-2:]] == ["2024-02-29", "2024-03-01"]
assert np.einsum("ij,kj->ik", a, a)[0, 2] == 62.0

np.savez_compressed("arrays.npz", a=a, days=days)
with np.load("arrays.npz") as archive:
    assert np.array_equal(archive["a"], a)
    assert archive["days"].dtype == days.dtype

print("ok: numpy")
