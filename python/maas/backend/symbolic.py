"""`maas.ops` functions on KerasTensors: the decorator that notices them, and the operation that records the call.

In saved files such a call has the name of Keras's class for it: `ops.expand_dims(x, 1)` is the class `ExpandDims` of
the module `keras.src.ops.numpy` with the config `{"axis": 1}`; tensors are call arguments, everything else is config.
"""

import functools
import inspect

from maas import tree
from maas.backend.keras_tensor import KerasTensor
from maas.backend.naming import to_snake_case
from maas.backend.node import Node
from maas.backend.operation import Operation

# Parameters that Keras passes when the operation is called; all others belong to its constructor.
CALL_ARGUMENTS = frozenset(
    "x x1 x2 xs x3 inputs kernel condition operands indices target output query value bias mask start_indices "
    "constant_values weights variable depthwise_kernel pointwise_kernel data segment_ids targets predictions mean "
    "variance gamma beta key "
    "start stop step updates tensors".split()
)
# Parameters that are call arguments of these functions only.
_EXTRA_CALL_ARGUMENTS = {
    "dot_product_attention": {"scale"},
    "batch_normalization": {"offset", "scale"},
    "rms_normalization": {"scale"},
    "cond": {"pred"},
    "while_loop": {"loop_vars"},
    "fori_loop": {"init_val"},
    "scan": {"init"},
    "associative_scan": {"elems"},
    "vectorized_map": {"elements"},
    "diff": {"a"},
    "digitize": {"bins"},
    "rearrange": {"tensor"},
    "rot90": {"array"},
    "scatter": {"values"},
    "searchsorted": {"sorted_sequence", "values"},
    "select": {"condlist", "choicelist", "default"},
    **dict.fromkeys(("full", "full_like"), {"fill_value"}),
    **dict.fromkeys("nanpercentile nanquantile percentile quantile".split(), {"q"}),
    **dict.fromkeys(("lstsq", "solve", "solve_triangular"), {"a", "b"}),
    "isclose": {"rtol", "atol"},
    "bitwise_left_shift": {"y"},
    "bitwise_right_shift": {"y"},
    "cdist": {"y"},
    **dict.fromkeys(
        "crop_images elastic_transform extract_patches gaussian_blur hsv_to_rgb pad_images resize rgb_to_grayscale "
        "rgb_to_hsv sobel_edges".split(),
        {"images"},
    ),
    "affine_transform": {"images", "transform"},
    "extract_patches_3d": {"volumes"},
    "map_coordinates": {"coordinates"},
    "perspective_transform": {"images", "start_points", "end_points"},
    "scale_and_translate": {"images", "output_shape", "scale", "translation"},
    "ssim": {"image1", "image2"},
    "trapezoid": {"y"},
    "ctc_loss": {"target_length", "output_length"},
}

_KERAS_MODULES = {
    "math": "rsqrt erf erfc erfinv logsumexp top_k in_top_k segment_sum segment_max segment_min segment_prod "
    "extract_sequences fft fft2 ifft2 rfft irfft stft istft logdet cdist",
    "core": "cast saturate_cast slice slice_update scatter scatter_update unstack stop_gradient convert_to_tensor map "
    "scan switch cond while_loop fori_loop associative_scan vectorized_map",
    "einops": "rearrange",
    "image": "resize pad_images crop_images affine_transform extract_patches extract_patches_3d map_coordinates "
    "perspective_transform gaussian_blur hsv_to_rgb rgb_to_grayscale rgb_to_hsv sobel_edges ssim elastic_transform "
    "scale_and_translate",
    "linalg": "norm cholesky cholesky_inverse det eig eigh inv jvp lstsq lu_factor matrix_rank pinv qr solve "
    "solve_triangular svd",
    "nn": "relu relu6 sigmoid softplus softsign silu log_sigmoid leaky_relu hard_sigmoid hard_silu elu selu gelu "
    "celu glu softmax sparsemax adaptive_average_pool adaptive_max_pool depth_to_space space_to_depth fold unfold "
    "hard_shrink hard_tanh soft_shrink sparse_plus sparse_sigmoid squareplus tanh_shrink threshold psnr "
    "log_softmax one_hot multi_hot moments normalize conv depthwise_conv separable_conv conv_transpose max_pool "
    "average_pool "
    "batch_normalization layer_normalization rms_normalization sparse_categorical_crossentropy "
    "categorical_crossentropy "
    "binary_crossentropy ctc_loss dot_product_attention",
}
_MODULE_OF = {name: module for module, names in _KERAS_MODULES.items() for name in names.split()}
# Names under which Keras has a second class for a function that is one here.
_SAME = {"true_divide": "divide", "amax": "max", "amin": "min"}
_SAME.update(conj="conjugate", left_shift="bitwise_left_shift", right_shift="bitwise_right_shift")
_ALIASES = {"abs": "absolute", "swish": "silu", "hard_swish": "hard_silu"}


def functions_of(module):
    """Names of the functions of `maas.ops` that Keras has in `keras.src.ops.<module>`, with their second names."""
    return [*_KERAS_MODULES[module].split(), *(n for n, f in _ALIASES.items() if _MODULE_OF.get(f) == module)]


_CLASS_NAMES = {
    "allclose": "AllClose", "batch_normalization": "BatchNorm", "cdist": "CDist", "ctc_loss": "CTCLoss",
    "hsv_to_rgb": "HSVToRGB", "isin": "IsIn", "jvp": "JVP", "layer_normalization": "LayerNorm",
    "rgb_to_grayscale": "RGBToGrayscale",
    "rgb_to_hsv": "RGBToHSV", "rms_normalization": "RMSNorm", "searchsorted": "SearchSorted",
}  # fmt: skip
_CLASS_NAMES.update((n, n.upper()) for n in "psnr ssim istft stft fft fft2 ifft2 rfft irfft svd".split())
_OPS = {}  # name -> undecorated function, filled by `op`


def op(fn):
    """Decorator of every public `maas.ops` function: a call with a KerasTensor among its arguments is recorded, not
    run.
    """
    name = fn.__name__
    _OPS[name] = fn

    @functools.wraps(fn)
    def wrapper(*args, **kwargs):
        for a in args:
            t = type(a)
            if t is KerasTensor or ((t is list or t is tuple) and _holds_keras_tensor(a)):
                return symbolic_call(name, args, kwargs)
        if kwargs:
            for a in kwargs.values():
                t = type(a)
                if t is KerasTensor or ((t is list or t is tuple) and _holds_keras_tensor(a)):
                    return symbolic_call(name, args, kwargs)
        return fn(*args, **kwargs)

    return wrapper


def _holds_keras_tensor(sequence):
    for a in sequence:
        t = type(a)
        if t is KerasTensor or ((t is list or t is tuple) and _holds_keras_tensor(a)):
            return True
    return False


class FunctionOperation(Operation):
    """One `maas.ops` function with fixed settings, as a node operation.

    Args:
        function_name: str, name in `maas.ops`.
        settings: dict, the arguments that are not tensors.
    """

    def __init__(self, function_name, settings=None, name=None):
        self.function_name = _ALIASES.get(function_name, function_name)
        self.settings = dict(settings or {})
        super().__init__(name=name or _auto_name(self.function_name))

    @property
    def keras_class_name(self):
        return class_name_of(self.function_name)

    @property
    def keras_module(self):
        """Module that a file saved by Keras names for this operation."""
        return "keras.src.ops." + _MODULE_OF.get(self.function_name, "numpy")

    def call(self, *args, **kwargs):
        fn = _function(self.function_name)
        kwargs = {**self.settings, **kwargs}
        names = _positional_call_names(self.function_name)
        if names is None:  # einsum(subscripts, *operands), meshgrid(*x)
            lead = [kwargs.pop(p) for p in _leading_settings(self.function_name)]
            return fn(*lead, *args, **kwargs)
        kwargs.update(zip(names, args))
        if isinstance(kwargs.get("key"), list):  # an index with several axes, back from JSON
            kwargs["key"] = tuple(kwargs["key"])
        return fn(**kwargs)

    def get_config(self):
        return {"name": self.name, **self.settings}

    def __repr__(self):
        return f"<Operation name={self.name}>"


def class_name_of(function_name):
    """`expand_dims` -> `ExpandDims`, the class name Keras files use."""
    if function_name in _CLASS_NAMES:
        return _CLASS_NAMES[function_name]
    return "".join(part[:1].upper() + part[1:] for part in function_name.split("_"))


def _auto_name(function_name):
    from maas.backend.naming import auto_name

    return auto_name(class_name_of(function_name))


def _function(name):
    if name not in _OPS:
        from maas import ops  # noqa: F401, fills the table

        name = name if name in _OPS else _SAME.get(name, name)
        if name not in _OPS:
            raise ValueError(f"no operation of this name in maas.ops, received {name!r}")
    return _OPS[name]


@functools.cache
def _parameters(name):
    return tuple(inspect.signature(_function(name)).parameters.values())


def _is_call_argument(function_name, parameter):
    return (
        parameter in CALL_ARGUMENTS
        and not (parameter == "key" and function_name not in ("get_item", "dot_product_attention"))
        or (parameter in _EXTRA_CALL_ARGUMENTS.get(function_name, ()))
    )


def _positional_call_names(name):
    parameters, name = _parameters(name), name if name in _OPS else _SAME.get(name, name)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return [p.name for p in parameters if _is_call_argument(name, p.name)]


def _leading_settings(name):
    names = []
    for p in _parameters(name):
        if p.kind is p.VAR_POSITIONAL:
            break
        names.append(p.name)
    return names


def symbolic_call(name, args, kwargs):
    """Record `maas.ops.<name>(*args, **kwargs)` as a node and return its KerasTensor(s)."""
    name = _ALIASES.get(name, name)
    signature = inspect.signature(_function(name))
    bound = signature.bind(*args, **kwargs)
    settings, call_args, call_kwargs = {}, [], {}
    variadic = next((p.name for p in signature.parameters.values() if p.kind is p.VAR_POSITIONAL), None)
    keyword = next((p.name for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD), None)
    given = dict(bound.arguments)
    extra = given.pop(keyword, {}) if keyword else {}
    skipped = False
    for p in signature.parameters.values():
        if p.name == variadic:
            call_args.extend(given.pop(variadic, ()))
        elif p.name == keyword:
            settings.update(extra)
        elif _is_call_argument(name, p.name):
            if p.name not in given:
                skipped = True
            elif skipped:
                call_kwargs[p.name] = given[p.name]
            else:
                call_args.append(given[p.name])
        else:
            value = given.get(p.name, p.default)
            if any(isinstance(v, KerasTensor) for v in tree.flatten(value)):
                call_kwargs[p.name] = value
            else:
                settings[p.name] = value
    operation = FunctionOperation(name, settings)
    outputs = operation.compute_output_spec(*call_args, **call_kwargs)
    Node(operation, tuple(call_args), call_kwargs, outputs)
    return outputs


def operation_from_config(class_name, config):
    """The operation of a saved node, found by Keras's class name among the functions of `maas.ops` only.

    Raises:
        ValueError: if there is no such function.
    """
    _function("add")
    by_class = {class_name_of(n): n for n in (*_OPS, *_SAME)}
    if class_name not in by_class:
        raise ValueError(f"the file uses an operation that does not exist here, received class_name={class_name!r}")
    settings = dict(config)
    return FunctionOperation(by_class[class_name], settings, name=settings.pop("name", to_snake_case(class_name)))
