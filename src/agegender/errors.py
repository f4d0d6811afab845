"""The mistakes that a user can mend."""


class InputError(ValueError):
    """A mistake in what the user gave: data, config, path or checkpoint.

    Its text is the whole sentence that the user needs: what is wrong, where, what is
    allowed and the fix. The scripts print it without a traceback and exit with status 2.
    """


class ProcessLost(RuntimeError):
    """One of several processes that train one network has ended; the text says how to go on."""


class Pruned(RuntimeError):
    """A search has found a training hopeless; the text says after how many epochs."""


class TrainingDiverged(RuntimeError):
    """The loss stopped being a finite number; the text names the epoch and the step."""
