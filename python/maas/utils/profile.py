"""`model.profile(x)`: where the time of one run goes, step by step, against what the machine can do."""

import html
import json

import numpy as np

from maas import _core


class Profile:
    """Time, work and share of the machine's measured peak of every step of a compiled run.

    Attributes:
        name: str, the program.
        rows: list of dicts with `step`, `op`, `kernel`, `why`, `shape`, `us` (until the slowest thread was done),
            `flops` (None: bound by memory), `bytes`, `threads`, `workers` (microseconds that each thread of the team
            worked; empty on a GPU), `balance` (the least of them over the most, 1 where one thread ran alone), `rate`
            (GFLOP/s or GB/s), `unit`, `share` (of the peak, 0 to 1; None for data that fits into the L2 caches, where
            the bandwidth of memory says nothing).
        total_us: float, microseconds of all steps.
        peak: (GFLOP/s, GB/s) measured with all threads right before.
        memory: dict of bytes: `arena`, `peak`, `without_reuse`.
    """

    def __init__(self, name, rows, peak, memory):
        self.name, self.peak, self.memory = name, peak, memory
        rows = [{**row, "us": max([row["us"], *row["workers"]])} for row in rows]
        self.rows = [{"step": i, **row, "balance": _balance(row), **_rate(row, peak)} for i, row in enumerate(rows)]
        self.total_us = sum(row["us"] for row in rows)

    def table(self, limit=None):
        """The rows as a `rich` table, slowest first."""
        from rich.table import Table

        table = Table(title=f"{self.name}: {_time(self.total_us)} a run", caption=self._caption(), title_justify="left")
        for column, justify in _COLUMNS:
            table.add_column(column, justify=justify, no_wrap=column != "kernel")
        for row in self._slowest(limit):
            table.add_row(*self._cells(row))
        return table

    def _slowest(self, limit=None):
        return sorted(self.rows, key=lambda row: -row["us"])[:limit]

    def _cells(self, row):
        share = row["us"] / self.total_us if self.total_us else 0
        shape = " x ".join(map(str, row["shape"])) or "scalar"
        peak = f"{row['share']:.0%}" if row["share"] is not None else ""
        rate = f"{row['rate']:.3g} {row['unit']}"
        time = [_time(row["us"]), f"{share:.0%}"]
        return [str(row["step"]), row["op"], shape, row["kernel"], *time, rate, peak, *self._team(row)]

    @staticmethod
    def _team(row):
        least, most = (min(row["workers"]), max(row["workers"])) if row["workers"] else (0, 0)
        return [str(row["threads"]), f"{least:.1f} / {most:.1f} us" if len(row["workers"]) > 1 else ""]

    def _caption(self):
        mib = {k: v / 2**20 for k, v in self.memory.items()}
        return (
            f"measured peak {self.peak[0]:.0f} GFLOP/s, {self.peak[1]:.1f} GB/s; "
            f"arena {mib['arena']:.2f} MiB (without reuse {mib['without_reuse']:.2f} MiB)"
        )

    def __repr__(self):
        from rich.console import Console

        console = Console(width=140)
        with console.capture() as capture:
            console.print(self.table())
        return capture.get().rstrip()

    def _repr_html_(self):
        head = "".join(f"<th>{name}</th>" for name, _ in _COLUMNS)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in self._cells(row)) + "</tr>"
            for row in self._slowest()
        )
        title = f"{html.escape(self.name)}: {_time(self.total_us)} a run"
        return f"<table><caption>{title}</caption><tr>{head}</tr>{body}</table><p>{html.escape(self._caption())}</p>"

    def trace_events(self):
        """The steps in their order as events of the Trace Event Format that Perfetto reads; times in microseconds.

        Track 1 shows the steps; each thread of the team has a track of its own with the part of every step it worked.
        """
        events = [{"ph": "M", "pid": 1, "name": "process_name", "args": {"name": f"maas {self.name}"}}]
        tracks = ["steps", *(f"thread {w}" for w in range(max((len(r["workers"]) for r in self.rows), default=0)))]
        for track, name in enumerate(tracks, start=1):
            events.append({"ph": "M", "pid": 1, "tid": track, "name": "thread_name", "args": {"name": name}})
        at = 0.0
        for row in self.rows:
            detail = {k: row[k] for k in ("kernel", "why", "flops", "bytes", "threads", "balance")}
            detail["shape"] = list(row["shape"])
            event = {"ph": "X", "pid": 1, "name": row["op"], "ts": at}
            events.append({**event, "tid": 1, "cat": "step", "dur": row["us"], "args": detail})
            for track, us in enumerate(row["workers"], start=2):
                events.append({**event, "tid": track, "cat": "worker", "dur": us, "args": {"kernel": row["kernel"]}})
            at += row["us"]
        return events

    def save_trace(self, path):
        """Write the steps as a JSON trace: open it at ui.perfetto.dev or in chrome://tracing."""
        from maas.saving.atomic import atomic_write

        with atomic_write(path) as file:
            file.write(json.dumps({"traceEvents": self.trace_events(), "displayTimeUnit": "ns"}).encode())


_COLUMNS = [
    ("step", "right"), ("op", "left"), ("output", "right"), ("kernel", "left"), ("time", "right"), ("of all", "right"),
    ("rate", "right"), ("of peak", "right"), ("threads", "right"), ("least / most busy", "right"),
]  # fmt: skip


def _time(us):
    return f"{us:.1f} us" if us < 1e3 else f"{us / 1e3:.2f} ms" if us < 1e6 else f"{us / 1e6:.2f} s"


def _balance(row):
    most = max(row["workers"], default=0)
    return min(row["workers"]) / most if most else 1.0


def _rate(row, peak):
    seconds = max(row["us"], 1e-3) / 1e6
    kind, work = (0, row["flops"]) if row["flops"] is not None else (1, row["bytes"])
    rate = work / seconds / 1e9
    cached = kind == 1 and work <= _core.cpu_info()["l2_bytes"] * row["threads"]
    share = rate / peak[kind] if peak[kind] and not cached else None
    return {"rate": rate, "unit": ("GFLOP/s", "GB/s")[kind], "share": share}


def profile_program(program, arrays, repeats=20):
    """A `Profile` of a compiled program on these arrays; state is updated as in as many runs."""
    if not isinstance(repeats, int) or repeats < 1:
        raise ValueError(f"profile: repeats must be an int >= 1, received {repeats!r}")
    arrays = [np.ascontiguousarray(a) for a in arrays]
    peak = _core.measure_peak()
    rows = program.profile(arrays, repeats)
    memory = program.memory(arrays)
    return Profile(program.name, rows, peak, {k: memory[k] for k in ("arena", "peak", "without_reuse")})


def profile_model(model, x, y=None, sample_weight=None, repeats=20):
    """See `Model.profile`."""
    from maas.data import get_data_adapter
    from maas.data.epochs import EpochIterator

    if y is not None and not getattr(model, "compiled", False):
        raise ValueError(f"{model.name}: profile() of a training step needs compile() first, received y={type(y)}")
    adapter = get_data_adapter(x, y, sample_weight, 2**31 - 1, None, input_dtypes=model._input_dtypes)
    layout, key, arrays = EpochIterator(adapter).peek()
    step = model._step("train" if y is not None else "predict", layout, key)
    variables = [] if y is None else _all_variables(model)
    before = [v.numpy() for v in variables]
    try:
        return profile_program(step.program, arrays, repeats)
    finally:
        for variable, value in zip(variables, before):
            variable.assign(value)


def _all_variables(model):
    found = {id(v): v for v in model.variables}
    for part in [model.optimizer, *getattr(model, "metrics", [])]:
        found.update((id(v), v) for v in getattr(part, "variables", ()))
    return list(found.values())
