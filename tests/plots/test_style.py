"""What all figures have in common."""

from matplotlib.backends.backend_agg import FigureCanvasAgg

from sharpmin.plots.style import figure_of, footnote

LONG = (
    "Metric 2.1, epsilon = 0.001 and 0.0005, full space; scaled down: 5,000 of 50,000 images, 10 of 100 epochs, "
    "1 of 5 trials, 1,000 of 10,000 test images"
)


def test_a_long_footnote_is_inside_the_figure_and_below_the_axes():
    figure = figure_of(lambda ax: ax.set_xlabel("Batch size"))
    footnote(figure, LONG)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    axis = figure.axes[0].get_tightbbox()
    note = next(one for one in figure.texts if one.get_text()).get_window_extent()
    assert note.x0 >= 0
    assert note.x1 <= figure.bbox.x1
    assert note.y1 <= axis.y0
    assert " ".join(figure.texts[0].get_text().split()) == LONG
