"""Rows of single ops and small blocks (K1 to K22), as models of one or a few layers."""

from benchmarks.rows import Row


def _layers():
    from maas import layers

    return layers


def _model(shapes, call):
    """Model of inputs of these shapes; `call(layers, *inputs)` gives the output."""
    import maas

    inputs = [maas.Input(s) for s in shapes]
    return maas.Model(inputs if len(inputs) > 1 else inputs[0], call(_layers(), *inputs))


def gemm(k, n, activation=None, use_bias=False):
    return _model([(k,)], lambda L, x: L.Dense(n, activation=activation, use_bias=use_bias)(x))


def batched(m, k, n):
    return _model([(m, k), (k, n)], lambda L, a, b: L.Dot(axes=(2, 1))([a, b]))


def conv(size, ic, oc, kernel=3, stride=1, relu=False):
    def call(L, x):
        if stride > 1 and kernel > 1:
            x = L.ZeroPadding2D(kernel // 2)(x)
        padding = "same" if stride == 1 else "valid"
        return L.Conv2D(oc, kernel, stride, padding, activation="relu" if relu else None)(x)

    return _model([(size, size, ic)], call)


def stem(size, ic, oc):
    def call(L, x):
        x = L.Conv2D(oc, 7, 2, activation="relu")(L.ZeroPadding2D(3)(x))
        return L.MaxPooling2D(3, 2)(L.ZeroPadding2D(1)(x))

    return _model([(size, size, ic)], call)


def depthwise(size, channels, stride=1):
    def call(L, x):
        x = L.ZeroPadding2D(1)(x) if stride > 1 else x
        return L.DepthwiseConv2D(3, stride, "same" if stride == 1 else "valid")(x)

    return _model([(size, size, channels)], call)


def residual(size, channels, expanded):
    def call(L, x):
        y = L.ReLU(6.0)(L.Conv2D(expanded, 1)(x))
        y = L.ReLU(6.0)(L.DepthwiseConv2D(3, padding="same")(y))
        return L.Add()([x, L.Conv2D(channels, 1)(y)])

    return _model([(size, size, channels)], call)


def conv1d(steps, channels, kernel):
    return _model([(steps, channels)], lambda L, x: L.Conv1D(channels, kernel, padding="causal")(x))


def recurrent(kind, steps, features, units, sequences=True):
    def call(L, x):
        if kind == "BiLSTM":
            return L.Bidirectional(L.LSTM(units, return_sequences=sequences))(x)
        return getattr(L, kind)(units, return_sequences=sequences)(x)

    return _model([(steps, features)], call)


def attention(steps, heads, size, causal=False, context=None):
    from maas import ops

    shapes = [(steps, heads, size), (context or steps, heads, size), (context or steps, heads, size)]
    return _model(shapes, lambda L, q, k, v: ops.dot_product_attention(q, k, v, is_causal=causal))


def elementwise(columns, function):
    kinds = {
        "softmax": lambda L: L.Softmax(), "layer norm": lambda L: L.LayerNormalization(),
        "RMS norm": lambda L: L.RMSNormalization(),
    }  # fmt: skip
    return _model([(columns,)], lambda L, x: kinds.get(function, lambda L: L.Activation(function))(L)(x))


def rows():
    """All rows, in the order of the list."""
    found = []

    def add(label, make, batch=1, fixed=(), slow=False, **sizes):
        found.append(Row(label, make, sizes, batch, fixed, program=True, slow=slow))

    for n in (1024, 2048, 4096):
        add(f"K1 GEMM {n} cubed", gemm, n, k=n, n=n, slow=n == 4096)
    for n in (256, 512):
        add(f"K2 GEMM {n} cubed", gemm, n, k=n, n=n)
    add("K3 dense M=128 768->768 bias", gemm, 128, k=768, n=768, use_bias=True)
    add("K3 dense M=128 768->3072 bias GELU", gemm, 128, k=768, n=3072, use_bias=True, activation="gelu")
    add("K3 dense M=128 3072->768 bias", gemm, 128, k=3072, n=768, use_bias=True)
    for m in (1, 4, 8, 16):
        add(f"K4 dense M={m} 512->512, weights in cache", gemm, m, k=512, n=512, use_bias=True)
    add("K4 GEMV M=1 768->3072", gemm, 1, k=768, n=3072)
    add("K4 GEMV M=1 768->50257", gemm, 1, k=768, n=50257)
    for m in (1, 4, 8, 16):
        add(f"{'K4 GEMV' if m == 1 else 'K5 skinny'} M={m} 4096->4096", gemm, m, k=4096, n=4096)
    for n in (16, 32, 64):
        add(f"K6 GEMM {n} cubed", gemm, n, k=n, n=n)
        add(f"K6 1000 x GEMM {n} cubed", batched, 1000, m=n, k=n, n=n)
    add("K7 12 x (128x64 . 64x128)", batched, 12, m=128, k=64, n=128)
    add("K9 conv 7x7 s2 3->64@224 ReLU, pool", stem, size=224, ic=3, oc=64, fixed=("ic",))
    add("K9 conv 7x7 s2 3->64@224 ReLU", conv, size=224, ic=3, oc=64, kernel=7, stride=2, relu=True,
        fixed=("ic", "kernel", "stride"))  # fmt: skip
    for ic, oc, size in ((64, 256, 56), (256, 64, 56), (1024, 256, 14), (512, 2048, 7)):
        add(f"K10 conv 1x1 {ic}->{oc}@{size}", conv, size=size, ic=ic, oc=oc, kernel=1, fixed=("kernel",))
    add("K10 conv 1x1 s2 256->512@56", conv, size=56, ic=256, oc=512, kernel=1, stride=2, fixed=("kernel", "stride"))
    for c, size in ((64, 56), (128, 28), (256, 14), (512, 7)):
        add(f"K11 conv 3x3 {c}@{size}", conv, size=size, ic=c, oc=c)
    for c, size in ((64, 224), (512, 28)):
        add(f"K12 conv 3x3 {c}@{size}", conv, size=size, ic=c, oc=c)
    add("K13 conv 3x3 s2 128@56", conv, size=56, ic=128, oc=128, stride=2, fixed=("stride",))
    for c, size, stride in ((144, 56, 1), (384, 14, 1), (96, 112, 2)):
        add(f"K14 depthwise 3x3 {'s2 ' if stride == 2 else ''}{c}@{size}", depthwise, size=size, channels=c,
            stride=stride, fixed=("stride",))  # fmt: skip
    add("K15 inverted residual 24->144->24@56", residual, size=56, channels=24, expanded=144)
    add("K16 conv1d k=5 64->64 T=1024 causal", conv1d, steps=1024, channels=64, kernel=5)
    for batch in (1, 32):
        add(f"K17 LSTM T=80 I=H=128 batch {batch}", recurrent, batch, ("kind",), kind="LSTM", steps=80, features=128,
            units=128)  # fmt: skip
        add(f"K17 LSTM T=100 I=H=128 batch {batch}", recurrent, batch, ("kind",), kind="LSTM", steps=100, features=128,
            units=128)  # fmt: skip
    for batch in (1, 8):
        add(f"K18 LSTM T=50 I=H=512 batch {batch}", recurrent, batch, ("kind",), kind="LSTM", steps=50, features=512,
            units=512)  # fmt: skip
    add("K18 LSTM T=50 I=H=1024 batch 32", recurrent, 32, ("kind",), kind="LSTM", steps=50, features=1024, units=1024,
        slow=True)  # fmt: skip
    for batch in (1, 32):
        add(f"K19 GRU T=100 I=H=256 batch {batch}", recurrent, batch, ("kind",), kind="GRU", steps=100, features=256,
            units=256)  # fmt: skip
    add("K19 BiLSTM T=200 I=128 H=64 batch 32", recurrent, 32, ("kind",), kind="BiLSTM", steps=200, features=128,
        units=64)  # fmt: skip
    for steps, batch in ((128, 1), (512, 1), (1024, 1), (2048, 1), (512, 8)):
        for causal in (False, True):
            add(f"K20 attention {'causal' if causal else 'full'} h12 d64 S={steps}{f' batch {batch}' * (batch > 1)}",
                attention, batch, ("size",), steps=steps, heads=12, size=64, causal=causal)  # fmt: skip
    for context in (1024, 8192):
        add(f"K21 decode attention h12 d64 context {context}", attention, 1, ("steps", "size"), steps=1, heads=12,
            size=64, context=context)  # fmt: skip
    add("K22 softmax 1536x128", elementwise, 1536, columns=128, function="softmax")
    add("K22 layer norm 128x768", elementwise, 128, columns=768, function="layer norm")
    add("K22 RMS norm 128x768", elementwise, 128, columns=768, function="RMS norm")
    for function in ("gelu", "silu", "tanh", "sigmoid"):
        add(f"K22 {function} 128x3072", elementwise, 128, columns=3072, function=function)
    add("K22 exp 1024x1024", elementwise, 1024, columns=1024, function="exponential")
    return found
