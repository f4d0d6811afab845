import numpy as np
import pandas as pd

from agegender.figures import age_scatter


def test_one_prediction_far_off_takes_no_more_memory_and_counts_in_the_figure_told():
    table = pd.DataFrame({"age_years": [20.0, 40.0], "age_pred": [20.0, 1e9], "gender": [0, 1]})
    figure = age_scatter(table, "test")
    drawn = figure.axes[0].collections[0].get_array()
    assert drawn is not None
    assert drawn.size < 100 * 100
    assert np.ma.sum(drawn) == 2, "it is drawn at the edge"
    assert "MAE 499999980.00 years" in figure.axes[0].get_title()
