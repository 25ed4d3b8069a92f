"""What is raised where a size must be a number, and a trace has left it open."""


class NeedsKnownSizes(NotImplementedError):
    """A trace with open sizes came to what needs them as numbers; a trace of the same with known sizes may do."""
