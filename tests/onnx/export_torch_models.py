"""Exports the models of tests/onnx/models with torch, torchvision and transformers; the tests need none of them.

Run once: `python -m tests.onnx.export_torch_models [name ...]`. Only the graph is kept: weights are left out, and
`tests.onnx.graphs` draws them from a seed.
"""

import io
import sys

import onnx
import torch
from torch import nn

from tests.onnx.graphs import FOLDER, strip


class Gpt2(nn.Module):
    """GPT-2 with past keys and values as plain tensors (layers, 2, batch, heads, time, size)."""

    def __init__(self):
        super().__init__()
        from transformers import GPT2Config, GPT2LMHeadModel

        self.model = GPT2LMHeadModel(GPT2Config(n_layer=4, attn_implementation="eager"))

    def forward(self, input_ids, past):
        from transformers import DynamicCache

        cache = DynamicCache()
        for i in range(past.shape[0]):
            cache.update(past[i, 0], past[i, 1], i)
        out = self.model(input_ids=input_ids, past_key_values=cache, use_cache=True)
        present = [torch.stack([layer.keys, layer.values]) for layer in out.past_key_values.layers]
        return out.logits, torch.stack(present)


class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        from transformers import BertConfig, BertModel

        self.model = BertModel(BertConfig(attn_implementation="eager"))

    def forward(self, input_ids, attention_mask):
        out = self.model(input_ids=input_ids, attention_mask=attention_mask)
        return out.last_hidden_state, out.pooler_output


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(40, 64, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(128, 10)

    def forward(self, x):
        y, _ = self.rnn(x)
        return self.head(y)


class Detector(nn.Module):
    """One stage of anchors: scores above a threshold, boxes without overlap; as many as the image has."""

    def __init__(self):
        super().__init__()
        import torchvision

        self.body = torchvision.models.mobilenet_v3_small(weights=None).features
        self.head = nn.Conv2d(576, 3 * 5, 3, padding=1)
        ys, xs = torch.meshgrid(torch.arange(10), torch.arange(10), indexing="ij")
        centers = torch.stack([xs, ys], -1).reshape(100, 1, 2).float() * 32 + 16
        sizes = torch.tensor([[32.0, 32.0], [64.0, 48.0], [48.0, 96.0]]).reshape(1, 3, 2)
        self.register_buffer("centers", centers.expand(100, 3, 2).reshape(300, 2))
        self.register_buffer("sizes", sizes.expand(100, 3, 2).reshape(300, 2))

        self.register_buffer("prior", torch.randn(300))  # scores that differ, whatever the weights

    def forward(self, image):
        import torchvision

        y = self.head(self.body(image)).permute(0, 2, 3, 1).reshape(300, 5)
        scores = torch.sigmoid(y[:, 4] + self.prior)
        middle, size = self.centers + y[:, :2] * self.sizes * 0.1, self.sizes * torch.exp(y[:, 2:4] * 0.2)
        boxes = torch.cat([middle - size / 2, middle + size / 2], -1)
        chosen = torch.nonzero(scores > scores.mean()).squeeze(1)
        boxes, scores = boxes[chosen], scores[chosen]
        kept = torchvision.ops.nms(boxes, scores, 0.5)
        return boxes[kept], scores[kept]


def _models():
    import torchvision

    batch = torch.export.Dim("batch")
    time = torch.export.Dim("time")
    image = torch.randn(2, 3, 224, 224)
    ids = torch.randint(0, 1000, (2, 9))
    return {
        "resnet50": lambda: (torchvision.models.resnet50(weights=None), (image,), ({0: batch},), ["x"], ["y"]),
        "mobilenet_v2": lambda: (torchvision.models.mobilenet_v2(weights=None), (image,), ({0: batch},), ["x"], ["y"]),
        "bert_base": lambda: (
            Bert(), (ids, torch.ones_like(ids)), ({0: batch, 1: time},) * 2,
            ["input_ids", "attention_mask"], ["hidden", "pooled"],
        ),
        "gpt2_past": lambda: (
            Gpt2(), (ids[:, :3], torch.randn(4, 2, 2, 12, 5, 64)),
            ({0: batch, 1: torch.export.Dim("now")}, {2: batch, 4: torch.export.Dim("before")}),
            ["input_ids", "past"], ["logits", "present"],
        ),
        "lstm": lambda: (Lstm(), (torch.randn(2, 11, 40),), ({0: batch, 1: time},), ["x"], ["y"]),
        "detector": lambda: (Detector(), (torch.randn(1, 3, 320, 320),), None, ["image"], ["boxes", "scores"]),
    }  # fmt: skip


def main(names):
    FOLDER.mkdir(exist_ok=True)
    for name, make in _models().items():
        if names and name not in names:
            continue
        torch.manual_seed(0)
        model, args, dynamic, inputs, outputs = make()
        program = torch.onnx.export(
            model.eval(), args, dynamo=True, dynamic_shapes=dynamic, input_names=inputs, output_names=outputs,
            opset_version=18, verbose=False,
        )  # fmt: skip
        file = io.BytesIO()
        onnx.save(program.model_proto, file)
        proto = strip(onnx.load_from_string(file.getvalue()))
        path = FOLDER / f"{name}.onnx"
        path.write_bytes(proto.SerializeToString())
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB, {len(proto.graph.node)} nodes")


if __name__ == "__main__":
    main(sys.argv[1:])
