"""The matplotlib backend of sessions without IPython."""

from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from . import charts

FigureCanvas = FigureCanvasAgg
FigureManager = FigureManagerBase
show = charts.show_and_close

# A figure that is a cell's value, or given to display().
Figure._repr_png_ = charts.picture
