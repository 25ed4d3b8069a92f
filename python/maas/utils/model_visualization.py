"""Pictures of models: `plot_model`, and `model_to_dot` for tools that read the DOT language."""

import html
import os

from maas.utils.model_graph import arrow, graph_of, lay_out

_GREEN, _RED = "#228b22", "#b22222"


class Dot:
    """A model as boxes and arrows.

    In a notebook it shows itself as an SVG picture; `to_string()` is its text in the DOT language of Graphviz.
    """

    def __init__(self, name, boxes, edges, rankdir, dpi, splines):
        self.name, self.boxes, self.edges = name, boxes, edges
        self.rankdir, self.dpi, self.splines = rankdir, dpi, splines
        self.width, self.height = lay_out(boxes, edges, rankdir)
        self._by_key = {b.key: b for b in boxes}

    def to_string(self):
        """The text in the DOT language."""
        number = {b.key: f"n{i}" for i, b in enumerate(self.boxes)}
        lines = [
            "digraph G {",
            f"rankdir={self.rankdir};",
            "concentrate=true;",
            f"dpi={self.dpi};",
            f"splines={self.splines};",
            "node [shape=record, fontname=Helvetica];",
        ]
        groups = {}
        for b in self.boxes:
            cells = ["{" + _escaped(b.title)]
            cells += ["{" + "|".join(map(_escaped, row)) + "}" for row in b.rows]
            text = "|".join(cells) + "}"
            groups.setdefault(b.groups, []).append(f'{number[b.key]} [label="{text}"];')
        for i, (group, nodes) in enumerate(groups.items()):
            if group:
                lines += [f"subgraph cluster_{i} {{", f'label="{_escaped("/".join(group))}";', "style=dashed;"]
            lines += nodes + (["}"] if group else [])
        lines += [f"{number[a]} -> {number[b]} [penwidth=2];" for a, b in self.edges]
        return "\n".join([*lines, "}"]) + "\n"

    __str__ = to_string

    def to_svg(self):
        """The text of an SVG picture."""
        w, h = round(self.width), round(self.height)
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" '
            'font-family="Helvetica, Arial, sans-serif" font-size="12">',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" '
            'orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>',
            f'<rect width="{w}" height="{h}" fill="white"/>',
        ]
        for x, y, width, height, text in self._frames():
            out.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="none" stroke="#555" '
                f'stroke-dasharray="6 4"/><text x="{x + 6:.1f}" y="{y - 3:.1f}">{html.escape(text)}</text>'
            )
        for a, b in self.edges:
            x0, y0, x1, y1 = arrow(self._by_key[a], self._by_key[b], self.rankdir)
            out.append(
                f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="black" stroke-width="1.5" '
                'marker-end="url(#tip)"/>'
            )
        for b in self.boxes:
            for x, y, width, height, text, fill, ink, bold in _cells(b):
                weight = ' font-weight="bold"' if bold else ""
                out.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}" '
                    f'stroke="black"/><text x="{x + width / 2:.1f}" y="{y + height / 2 + 4:.1f}" fill="{ink}" '
                    f'text-anchor="middle"{weight}>{html.escape(text)}</text>'
                )
        return "\n".join([*out, "</svg>"]) + "\n"

    _repr_svg_ = to_svg

    def _frames(self):
        """(x, y, width, height, name) of the dashed frame of each nested model."""
        inside = {}
        for b in self.boxes:
            for depth in range(1, len(b.groups) + 1):
                inside.setdefault(b.groups[:depth], []).append(b)
        for group, found in inside.items():
            pad = 14 - 2 * len(group)
            x, y = min(b.x for b in found) - pad, min(b.y for b in found) - pad
            right, bottom = max(b.x + b.width for b in found) + pad, max(b.y + b.height for b in found) + pad
            yield x, y, right - x, bottom - y, group[-1]

    def write(self, path, format=None):
        """Write a file.

        Args:
            path: str or path.
            format: "dot", "svg", or "png", "pdf", "jpg" (drawn by matplotlib); default by the suffix.

        Raises:
            ImportError: naming the extra, if matplotlib is needed and not there.
            ValueError: for another format.
        """
        path = os.fspath(path)
        format = (format or os.path.splitext(path)[1][1:] or "png").lower()
        if format in ("dot", "gv", "svg"):
            with open(path, "w", encoding="utf-8") as f:
                f.write(self.to_svg() if format == "svg" else self.to_string())
        elif format in ("png", "pdf", "jpg", "jpeg"):
            self._draw(path, format)
        else:
            raise ValueError(f"a model is drawn as dot, svg, png, pdf or jpg, received format={format!r}")

    def _draw(self, path, format):
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
            from matplotlib.patches import Rectangle
        except ImportError:
            raise ImportError(
                f"a picture as {format} needs matplotlib, pip install 'maas[plot]'; svg and dot need nothing, received "
                f"no package matplotlib"
            ) from None
        # Pixels stay within what matplotlib can draw.
        dpi = min(self.dpi, 60000 * 96 / max(self.width, self.height))
        figure = Figure((self.width / 96, self.height / 96))
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, self.width), ylim=(self.height, 0))
        axes.axis("off")
        for x, y, width, height, text in self._frames():
            axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor="#555", linestyle="--"))
            axes.text(x + 6, y - 3, text, fontsize=8)
        for a, b in self.edges:
            x0, y0, x1, y1 = arrow(self._by_key[a], self._by_key[b], self.rankdir)
            axes.annotate("", (x1, y1), (x0, y0), arrowprops={"arrowstyle": "-|>", "color": "black"})
        for b in self.boxes:
            for x, y, width, height, text, fill, ink, bold in _cells(b):
                axes.add_patch(Rectangle((x, y), width, height, facecolor=fill, edgecolor="black"))
                weight = "bold" if bold else "normal"
                axes.text(
                    x + width / 2, y + height / 2, text, color=ink, weight=weight, ha="center", va="center", fontsize=8,
                    parse_math=False,
                )  # fmt: skip
        figure.savefig(path, format=format, dpi=dpi, facecolor="white")


def _escaped(text):
    return "".join("\\" + c if c in '{}|<>"\\ ' else c for c in text)


def _cells(b):
    """(x, y, width, height, text, fill, ink, bold) of the parts of a box."""
    row_height = b.height / (1 + len(b.rows))
    yield b.x, b.y, b.width, row_height, b.title, "black", "white", True
    for i, row in enumerate(b.rows, 1):
        total, x = sum(len(c) + 3 for c in row), b.x
        for j, text in enumerate(row):
            width = b.width * (len(text) + 3) / total
            state = b.trainable is not None and i == len(b.rows) and j == len(row) - 1
            fill = (_GREEN if b.trainable else _RED) if state else "white"
            yield x, b.y + i * row_height, width, row_height, text, fill, "white" if state else "black", state
            x += width


def model_to_dot(
    model, show_shapes=False, show_dtype=False, show_layer_names=True, rankdir="TB", expand_nested=False, dpi=200,
    subgraph=False, show_layer_activations=False, show_trainable=False, splines="ortho", **kwargs,
):  # fmt: skip
    """A model as boxes and arrows; neither pydot nor Graphviz is needed.

    Args:
        model: a built model.
        show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable: bool, what the boxes say.
        rankdir: "TB" (downwards), "BT", "LR" or "RL".
        expand_nested: bool, whether models inside are drawn as their layers, in a dashed frame.
        dpi: int, of pictures made of pixels.
        subgraph: only False.
        splines: str, kept in the DOT text.

    Returns:
        `Dot`, with `to_string()`, `to_svg()` and `write(path)`.

    Raises:
        ValueError: for a model that is not built, or an unknown argument.
    """
    if kwargs or subgraph:
        raise ValueError(f"model_to_dot: unknown arguments, received {sorted(kwargs) or ['subgraph']}")
    if rankdir not in ("TB", "BT", "LR", "RL"):
        raise ValueError(f"model_to_dot: rankdir must be 'TB', 'BT', 'LR' or 'RL', received {rankdir!r}")
    if not model.built:
        raise ValueError(
            f"{model.name}: build the model first, by calling it on data or with build(input_shape), received a model "
            f"that is not built"
        )
    boxes, edges = graph_of(
        model, expand_nested, show_shapes=show_shapes, show_dtype=show_dtype, show_layer_names=show_layer_names,
        show_layer_activations=show_layer_activations, show_trainable=show_trainable,
    )  # fmt: skip
    return Dot(model.name, boxes, edges, rankdir, dpi, splines)


def plot_model(
    model, to_file="model.png", show_shapes=False, show_dtype=False, show_layer_names=False, rankdir="TB",
    expand_nested=False, dpi=200, show_layer_activations=False, show_trainable=False, splines="ortho", **kwargs,
):  # fmt: skip
    """Draws a model into a file.

    Args:
        model: a built model.
        to_file: str or path that ends in .svg or .dot, or in .png, .pdf or .jpg (these need matplotlib).
        show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi, show_layer_activations, show_trainable,
            splines: see `model_to_dot`.

    Returns:
        The picture for a notebook, or None where IPython is not loaded.

    Raises:
        ValueError: for a model that is not built, or an unknown argument or format.
        ImportError: naming the extra, if matplotlib is needed and not there.
    """
    import sys

    if kwargs:
        raise ValueError(f"plot_model: unknown arguments, received {sorted(kwargs)}")
    dot = model_to_dot(
        model, show_shapes=show_shapes, show_dtype=show_dtype, show_layer_names=show_layer_names, rankdir=rankdir,
        expand_nested=expand_nested, dpi=dpi, show_layer_activations=show_layer_activations,
        show_trainable=show_trainable, splines=splines,
    )  # fmt: skip
    path = os.fspath(to_file)
    if not os.path.splitext(path)[1]:
        path += ".png"
    dot.write(path)
    if "IPython.display" not in sys.modules:
        return None
    from IPython.display import SVG, Image

    if path.endswith(".svg"):
        return SVG(filename=path)
    return Image(filename=path) if path.endswith((".png", ".jpg", ".jpeg")) else None
