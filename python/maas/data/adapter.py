"""What an epoch loop needs from data, whatever it is."""


class DataAdapter:
    """Source of batches.

    Attributes:
        num_batches: int, or None if unknown.
        batch_size: int or None.
        num_samples: int or None.
        one_pass: bool, whether the batches can be read only once.
        counts_passes: bool, whether the order may depend on how many passes were begun.
    """

    num_batches = None
    batch_size = None
    num_samples = None
    one_pass = False
    counts_passes = False

    def batches(self):
        """Iterator of (layout, key, arrays) over one pass. Arrays are valid until the next batch is asked for."""
        raise NotImplementedError

    def in_memory(self):
        """(layout, arrays) of all data if it is in memory, else None."""
        return None

    def exhausted(self):
        """True if there will be no further batch, not even in a new pass."""
        return False

    def on_epoch_begin(self):
        """Called before each epoch."""

    def on_epoch_end(self):
        """Called after each epoch."""
