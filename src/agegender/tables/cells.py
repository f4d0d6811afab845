"""What the published tables' cells look like."""

import pandas as pd


def mean_sd(values: pd.Series, form: str) -> str:
    """Mean and standard deviation over seeds; a single seed is called one."""
    if len(values) == 1:
        return f"{form.format(values.iloc[0])} (a single seed)"
    return f"{form.format(values.mean())} ± {form.replace('+', '').format(values.std())}"
