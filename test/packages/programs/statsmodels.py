"""Regression: OLS with its summary, a formula, a logit and an ARIMA model."""

import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf
from statsmodels.tsa.arima.model import ARIMA

rng = np.random.default_rng(0)
n = 400
x1, x2 = rng.normal(size=n), rng.normal(size=n)
table = pd.DataFrame({"y": 1.0 + 2.0 * x1 - 3.0 * x2 + rng.normal(scale=0.5, size=n), "x1": x1, "x2": x2})

fit = sm.OLS(table["y"], sm.add_constant(table[["x1", "x2"]])).fit()
assert np.allclose(fit.params, [1.0, 2.0, -3.0], atol=0.1)
assert fit.rsquared > 0.97
assert (fit.pvalues < 1e-6).all()
summary = fit.summary().as_text()
for words in ("OLS Regression Results", "R-squared:", "Durbin-Watson", "const", "x2"):
    assert words in summary, words

same = smf.ols("y ~ x1 + x2", data=table).fit()
assert np.allclose(same.params.to_numpy(), fit.params.to_numpy())
low, high = same.conf_int().loc["x1"]
assert low < 2.0 < high
exact = sm.OLS([1.0, 3.0, 5.0, 7.0], sm.add_constant([0.0, 1.0, 2.0, 3.0])).fit()
assert np.allclose(exact.params, [1.0, 2.0])

chance = 1 / (1 + np.exp(-(0.5 + 1.5 * x1)))
logit = sm.Logit((rng.uniform(size=n) < chance).astype(int), sm.add_constant(x1)).fit(disp=0)
assert logit.mle_retvals["converged"]
assert np.allclose(logit.params, [0.5, 1.5], atol=0.5)

series = np.zeros(300)
for t in range(1, 300):
    series[t] = 0.7 * series[t - 1] + rng.normal()
ar = ARIMA(series, order=(1, 0, 0)).fit()
assert abs(ar.params[1] - 0.7) < 0.15
assert ar.forecast(3).shape == (3,)

print(summary)
print("ok: statsmodels")
