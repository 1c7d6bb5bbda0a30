"""Draws a chart in a session and writes it to a file: the first argument, or chart.png."""

import sys

from tci import TCIClient

CODE = """
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

steps = np.random.default_rng(7).normal(size=90)
sales = pd.DataFrame({"sales": 20 + steps.cumsum()}, index=pd.date_range("2026-01-01", periods=90))
sales["mean of a week"] = sales["sales"].rolling(7).mean()
sales.plot(title="Sales", ylabel="pieces a day")
plt.show()
sales.describe().round(2)
"""

path = sys.argv[1] if len(sys.argv) > 1 else "chart.png"
with TCIClient().sessions.create() as session:
    execution = session.run(CODE).raise_for_error()
with open(path, "wb") as f:
    f.write(execution.images[0])
print(execution.text)
print(f"wrote {path}, {len(execution.images[0])} bytes")
