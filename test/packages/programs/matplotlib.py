"""A chart with a blue line, red bars and a legend, saved as PNG and shown."""

import os

import matplotlib.pyplot as plt

months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun"]
rain = [49, 36, 47, 53, 64, 80]
warmth = [1.2, 2.5, 6.8, 11.3, 15.9, 19.4]

figure, left = plt.subplots(figsize=(8, 5), dpi=100)
bars = left.bar(months, rain, color="#ff0000", width=0.5, label="rain (mm)")
right = left.twinx()
(line,) = right.plot(months, warmth, color="#0000ff", linewidth=4, marker="o", label="warmth (°C)")
left.set_title("A year's first half: $\\mu \\pm \\sigma$")
left.set_xlabel("month")
left.set_ylabel("mm")
right.set_ylabel("°C")
legend = left.legend(handles=[bars, line], loc="upper left")
figure.tight_layout()

assert [bar.get_height() for bar in bars] == rain
assert [text.get_text() for text in legend.get_texts()] == ["rain (mm)", "warmth (°C)"]

plt.savefig("chart.png")
assert os.path.getsize("chart.png") > 5000
with open("chart.png", "rb") as f:
    assert f.read(8) == b"\x89PNG\r\n\x1a\n"
image = plt.imread("chart.png")
assert image.shape == (500, 800, 4)
blue = (image[..., 2] > 0.9) & (image[..., 0] < 0.1) & (image[..., 1] < 0.1)
assert blue.sum() > 50

plt.show()  # in a session: displays the figure as image/png

print("ok: matplotlib")
