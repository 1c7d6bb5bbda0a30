"""Interactive figures: traces, plotly.express, to JSON and back, a standalone HTML file."""

import json
import os

import pandas as pd
import plotly.express as px
import plotly.graph_objects as go
import plotly.io as pio
from plotly.subplots import make_subplots

figure = go.Figure()
figure.add_trace(go.Scatter(x=[1, 2, 3], y=[4, 1, 9], name="line", mode="lines+markers"))
figure.add_trace(go.Bar(x=[1, 2, 3], y=[2, 3, 4], name="bars", marker_color="red"))
figure.update_layout(title="Two traces – Größe", xaxis_title="x")

tree = json.loads(figure.to_json())
assert [trace["type"] for trace in tree["data"]] == ["scatter", "bar"]
assert tree["data"][0]["y"] == [4, 1, 9]
assert tree["data"][1]["marker"]["color"] == "red"
assert tree["layout"]["title"]["text"] == "Two traces – Größe"
again = pio.from_json(figure.to_json())
assert again.data[0].y == (4, 1, 9)
assert again == figure

part = figure.to_html(full_html=False, include_plotlyjs=False, div_id="chart")
assert 'id="chart"' in part
assert "Plotly.newPlot" in part
figure.write_html("figure.html", include_plotlyjs=True)
assert os.path.getsize("figure.html") > 1_000_000

try:
    go.Bar(x=[1], y=[1], colour="red")
except ValueError as problem:
    assert "colour" in str(problem)
else:
    raise AssertionError("a wrong property was accepted")

table = pd.DataFrame({"x": [1, 2, 3, 4], "y": [1, 4, 9, 16], "kind": ["a", "b", "a", "b"]})
points = px.scatter(table, x="x", y="y", color="kind")
assert [trace.name for trace in points.data] == ["a", "b"]
assert list(points.data[1].y) == [4, 16]
grid = make_subplots(rows=1, cols=2, subplot_titles=("left", "right"))
grid.add_trace(go.Heatmap(z=[[1, 2], [3, 4]]), row=1, col=1)
grid.add_trace(go.Pie(values=[1, 2]).update(domain={"x": [0.6, 1]}))
assert [a.text for a in grid.layout.annotations] == ["left", "right"]

print("ok: plotly")
