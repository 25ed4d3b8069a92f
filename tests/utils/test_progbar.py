"""The progress bar: terminal, log file, notebook; and what `fit` prints."""

import io
import re
import sys

import keras
import numpy as np
import pytest

import maas
from maas.utils import Progbar
from tests.training.pair import data, pair

X, LABELS, _, _ = data()
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def printed(monkeypatch, run, stream):
    monkeypatch.setattr(sys, "stdout", stream)
    run()
    monkeypatch.undo()
    return stream.getvalue()


def last_states(text):
    """What a terminal shows: every line after its last redrawing, times left out."""
    lines = [ANSI.sub("", line.split("\r")[-1].replace("\b", "")).rstrip() for line in text.split("\n")]
    return [re.sub(r"\d+s \d+(us|ms|s)/step|\d+s - +\d+(us|ms|s)/step", "TIME", line) for line in lines if line]


@pytest.mark.parametrize("verbose", [0, 1, 2])
@pytest.mark.parametrize("epochs", [1, 2])
def test_fit_shows_what_keras_shows(monkeypatch, verbose, epochs):
    shown = []
    for model in pair():
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])

        def run(model=model):
            model.fit(X, LABELS, epochs=epochs, verbose=verbose, shuffle=False, validation_data=(X, LABELS))
            model.evaluate(X, LABELS, verbose=verbose)
            model.predict(X, verbose=verbose)

        shown.append(last_states(printed(monkeypatch, run, Terminal())))
    ours, theirs = shown
    assert [re.sub(r"\d\.\d{4}", "N", line) for line in ours] == [re.sub(r"\d\.\d{4}", "N", line) for line in theirs]


def test_a_log_file_gets_one_line_per_epoch(monkeypatch):
    model, _ = pair()
    model.compile("sgd", "sparse_categorical_crossentropy")
    text = printed(monkeypatch, lambda: model.fit(X, LABELS, epochs=3, batch_size=1), io.StringIO())
    assert "\x1b" not in text and "\r" not in text and "\b" not in text
    assert len(text.splitlines()) == 6
    assert all(line.startswith(("Epoch", "50/50")) for line in text.splitlines())


def test_averages_and_unknown_target(monkeypatch):
    texts = []
    for bar in (Progbar, keras.utils.Progbar):

        def run(bar=bar):
            p = bar(None, interval=0, stateful_metrics=["state"])
            for i, v in enumerate([1.0, 3.0], 1):
                p.update(i, [("mean", v), ("state", v)])
            p = bar(4, interval=0)
            for v in (1.0, 2.0, 3.0, 4.0):
                p.add(1, [("mean", v)])

        texts.append(last_states(printed(monkeypatch, run, Terminal())))
    assert texts[0] == texts[1]


def test_both_kinds_of_metrics_are_an_error():
    with pytest.raises(ValueError, match="received both"):
        Progbar(3, stateful_metrics=["a"], stateless_metrics=["b"])


def test_interactive_logging_can_be_switched_off(monkeypatch):
    model, _ = pair()
    model.compile("sgd", "sparse_categorical_crossentropy")
    maas.utils.disable_interactive_logging()
    try:
        assert printed(monkeypatch, lambda: model.fit(X, LABELS), Terminal()) == ""
    finally:
        maas.utils.enable_interactive_logging()


def test_a_notebook_updates_one_display(monkeypatch):
    from maas.utils import progbar

    shown = []

    class Handle:
        def update(self, html):
            shown.append(html)

    class Display:
        @staticmethod
        def display(html, display_id):
            assert display_id
            shown.append(html)
            return Handle()

        HTML = staticmethod(str)

    monkeypatch.setattr(progbar, "_in_notebook", lambda: True)
    monkeypatch.setitem(sys.modules, "IPython", Display)
    monkeypatch.setitem(sys.modules, "IPython.display", Display)
    bar = Progbar(3, interval=0)
    text = printed(monkeypatch, lambda: [bar.update(i, [("loss", np.float32(0.5))]) for i in (1, 2, 3)], io.StringIO())
    assert text == ""
    assert len(shown) == 3 and "3/3" in shown[-1] and "loss: 0.5000" in shown[-1]
