"""`maas.preprocessing.image`: images as arrays, and `smart_resize`."""

from maas import missing_names
from maas.utils.image_utils import array_to_img, img_to_array, load_img, save_img, smart_resize

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img", "smart_resize"]

__getattr__ = missing_names.getattr_of(__name__)
