"""Rows of whole networks (M1 to M18), from `maas.zoo`."""

from benchmarks.rows import Row


def rows():
    """All rows, in the order of the list."""
    from maas import zoo

    def flat(make, **more):
        """A function of image sizes; scores stay without softmax, whose exponentials would hide differences."""
        return lambda size, **sizes: make(input_shape=(size, size, 3), classifier_activation=None, **sizes, **more)

    def gray(make):
        return lambda size, **sizes: make(input_shape=(size, size, 1), **sizes)

    def mlp(features, units, classes, depth):
        return zoo.MLP(
            (features,), (units,) * depth, classes, classifier_activation=None if classes == 4 else "softmax"
        )

    def sequences(make):
        return lambda steps, features, **sizes: make((steps, features), **sizes)

    def two_layers(steps, features, units):
        return zoo.StackedLSTM((steps, features), (units, units))

    def words(make, **more):
        return lambda steps: make(sequence_length=steps, **more)

    found = []

    def add(label, make, batches=(1,), fixed=(), high=2, slow=False, **sizes):
        for i, batch in enumerate(batches):
            found.append(Row(f"{label} batch {batch}", make, sizes, batch, fixed, high, slow=slow or i > 1))

    add("M1 LeNet-5", gray(zoo.LeNet), (1, 32), size=28, classes=10)
    add("M2 MNIST convnet", gray(zoo.MNISTConvNet), (1, 32), size=28, classes=10)
    add("M2 tutorial CNN 28x28", gray(zoo.TutorialConvNet), (1, 32), size=28, classes=10)
    add("M2 digits CNN 8x8", gray(zoo.DigitsConvNet), (1, 32), size=8, classes=10)
    add("M3 CIFAR CNN", lambda size, classes: zoo.CIFARConvNet((size, size, 3), classes), (1, 32), size=32, classes=10)
    add("M4 MLP 784-512-512-10", mlp, (1, 32), ("depth",), features=784, units=512, classes=10, depth=2)
    add("M4 MLP 16-16-4", mlp, (1,), ("depth", "classes"), features=16, units=16, classes=4, depth=1)
    add("M5 ResNet-50", flat(zoo.ResNet50), (1, 8), size=224, classes=1000)
    add("M6 ResNet-18", flat(zoo.ResNet18), (1, 8), size=224, classes=1000)
    add("M7 MobileNetV2", flat(zoo.MobileNetV2), (1, 8), size=224, classes=1000)
    add("M8 VGG-16", flat(zoo.VGG16), (1,), ("size",), size=224, classes=1000)
    add("M9 EfficientNet-B0", flat(zoo.EfficientNetB0), (1,), size=224, classes=1000)
    add("M10 BERT-base S=128", words(zoo.BERTBase, pooling=False), (1,), high=30522, steps=128)
    add("M11 MiniLM-L6 S=128", words(zoo.MiniLM, pooling=False), (1, 8), high=30522, steps=128)
    add("M11 MiniLM-L6 S=32", words(zoo.MiniLM, pooling=False), (1,), high=30522, steps=32)
    add("M12 GPT-2 prefill S=128", words(zoo.GPT2), (1,), high=50257, steps=128)
    add("M12 GPT-2 prefill S=512", words(zoo.GPT2), (1,), high=50257, steps=512, slow=True)
    add("M14 LSTM classifier T=80", words(zoo.LSTMClassifier), (1, 32), high=20000, steps=80)
    add("M15 2 x LSTM 256 T=100 I=64", two_layers, (1, 32), steps=100, features=64, units=256)
    add("M17 transformer encoder", sequences(zoo.TransformerEncoder), (1, 32), steps=64, features=64, classes=10,
        fixed=("features",))  # fmt: skip
    add("M18 U-Net 128x128", lambda size: zoo.UNet((size, size, 3)), (1,), ("size",), size=128)
    return found
