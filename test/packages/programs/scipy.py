"""Minimum, root, curve fit, integral, matrix functions, sparse solve, statistics."""

import numpy as np
from scipy import integrate, linalg, optimize, sparse, stats
from scipy.sparse.linalg import spsolve

best = optimize.minimize(optimize.rosen, [-1.2, 1.0], jac=optimize.rosen_der, method="BFGS")
assert best.success
assert np.allclose(best.x, [1.0, 1.0], atol=1e-4)
assert abs(optimize.brentq(lambda x: x**3 - 2, 0, 2) - 2 ** (1 / 3)) < 1e-9

x = np.linspace(0, 4, 50)
(height, rate), _ = optimize.curve_fit(lambda t, a, b: a * np.exp(-b * t), x, 2.5 * np.exp(-1.3 * x))
assert np.allclose([height, rate], [2.5, 1.3])

plan = optimize.linprog([-3, -5], A_ub=[[1, 0], [0, 2], [3, 2]], b_ub=[4, 12, 18])
assert np.allclose(plan.x, [2.0, 6.0])
assert np.isclose(plan.fun, -36.0)

area, error = integrate.quad(lambda t: np.exp(-(t**2)), -np.inf, np.inf)
assert np.isclose(area, np.sqrt(np.pi))
assert error < 1e-6
decay = integrate.solve_ivp(lambda t, y: -0.5 * y, (0, 4), [8.0], rtol=1e-8)
assert np.isclose(decay.y[0, -1], 8 * np.exp(-2), rtol=1e-5)

turn = linalg.expm(np.array([[0.0, -np.pi / 2], [np.pi / 2, 0.0]]))
assert np.allclose(turn, [[0, -1], [1, 0]])
spd = np.array([[4.0, 2.0], [2.0, 3.0]])
assert np.allclose(linalg.cholesky(spd, lower=True), [[2, 0], [1, np.sqrt(2)]])
assert np.allclose(linalg.eigvalsh(spd), [(7 - 17**0.5) / 2, (7 + 17**0.5) / 2])

n = 1000
laplace = sparse.diags([-1.0, 2.0, -1.0], [-1, 0, 1], shape=(n, n), format="csc")
solution = spsolve(laplace, np.ones(n))
assert np.isclose(solution[n // 2 - 1], 500 * 501 / 2)

assert np.isclose(stats.norm.cdf(1.96), 0.9750021048517795)
assert np.isclose(stats.binom.pmf(3, 10, 0.5), 120 / 1024)
fit = stats.linregress([1, 2, 3, 4], [3.1, 4.9, 7.1, 8.9])
assert np.isclose(fit.slope, 1.96)
assert fit.rvalue > 0.99
rng = np.random.default_rng(3)
a, b = rng.normal(0, 1, 500), rng.normal(0.5, 1, 500)
assert stats.ttest_ind(a, b).pvalue < 1e-6
assert stats.ks_2samp(a, rng.normal(0, 1, 500)).pvalue > 0.01

print("ok: scipy")
