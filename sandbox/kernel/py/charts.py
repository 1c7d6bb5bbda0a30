"""Shows matplotlib's figures, also where there is no IPython.

In the kernel a figure is shown by plt.show(), or at the end of the cell that
left it open: by matplotlib_inline where IPython is, else by the module inline.
Code that chooses Agg, as scripts for servers do, gets pictures from plt.show()
too. Child processes get Agg, from the environment.
"""

import io
import os
import sys
import weakref
from importlib.util import find_spec

from .errors import describe
from .imports import after_import

AGG = "Agg"
INLINE = __package__ + ".inline"
INLINE_OF_IPYTHON = "matplotlib_inline.backend_inline"

_displayer = None
_shown = weakref.WeakSet()  # figures that are as they were shown


def connect(displayer, with_ipython):
    """Has figures shown from now on."""
    global _displayer
    _displayer = displayer
    backend = INLINE_OF_IPYTHON if with_ipython and find_spec("matplotlib_inline") else INLINE

    def choose(matplotlib):
        # Whoever set another one in the environment wants that.
        if os.environ.get("MPLBACKEND", AGG) == AGG:
            matplotlib.rcParams["backend"] = "module://" + backend

    def complete(backend_agg):
        backend_agg.show = show_open

    after_import({"matplotlib": choose, "matplotlib.backends.backend_agg": complete})


def picture(figure):
    """A figure as PNG, at the size and resolution that it was made with."""
    buffer = io.BytesIO()
    figure.canvas.print_figure(
        buffer, format="png", dpi=figure.dpi, facecolor=figure.get_facecolor(), bbox_inches="tight"
    )
    return buffer.getvalue()


def show(figure):
    data = {"image/png": picture(figure), "text/plain": repr(figure)}
    _displayer.display(data, raw=True)


def _managers():
    return sys.modules["matplotlib._pylab_helpers"].Gcf.get_all_fig_managers()


def show_open(*args, **kwargs):
    """plt.show() for Agg: shows what is new, and leaves figures open, as Agg
    does: the code may save them afterwards."""
    for manager in _managers():
        figure = manager.canvas.figure
        if figure.stale or figure not in _shown:
            show(figure)
            figure.stale = False
            _shown.add(figure)


def show_and_close(*args, **kwargs):
    """plt.show() for inline."""
    try:
        for manager in _managers():
            show(manager.canvas.figure)
    finally:
        sys.modules["matplotlib.pyplot"].close("all")


def end_cell():
    """Shows what a cell left open, when inline is the backend."""
    if INLINE not in sys.modules or not _managers():
        return
    if sys.modules["matplotlib"].get_backend() != "module://" + INLINE:
        return
    try:
        show_and_close()
    except Exception as e:
        sys.stderr.write("\n".join(describe(e)["traceback"]) + "\n")
