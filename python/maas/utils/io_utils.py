"""Messages to the user."""

import sys

_interactive = True


def enable_interactive_logging():
    """Progress and messages go to standard output (the default)."""
    global _interactive
    _interactive = True


def disable_interactive_logging():
    """Progress and messages go to the logger "maas"; `verbose="auto"` then shows no bar."""
    global _interactive
    _interactive = False


def is_interactive_logging_enabled():
    """True if messages go to standard output."""
    return _interactive


def print_msg(message, line_break=True):
    """Prints to standard output, or to the logger if interactive logging is off."""
    if not _interactive:
        import logging

        logging.getLogger("maas").info(message)
        return
    text = message + "\n" if line_break else message
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:  # a terminal that cannot show the bar's characters
        sys.stdout.write(text.encode("ascii", errors="replace").decode("ascii"))
    sys.stdout.flush()
