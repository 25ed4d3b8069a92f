"""`KerasFileEditor`: the weights of a `.keras` or `.weights.h5` file, to be listed, changed and saved again."""

import os

import numpy as np

from maas.saving import hdf5_write
from maas.saving.atomic import atomic_write
from maas.saving.files import read_file
from maas.saving.hdf5 import open_hdf5


class KerasFileEditor:
    """The state in a file as nested dicts, `{"layers": {"dense": {"0": array, "1": array}}}`.

    Args:
        filepath: path of a `.keras` or `.weights.h5` file.

    Raises:
        ValueError: for another suffix, or a damaged file.
    """

    def __init__(self, filepath):
        self.filepath = os.fspath(filepath)
        self.metadata = self.config = self.model = None
        if self.filepath.endswith(".keras"):
            from maas.saving import keras_file
            from maas.saving.config_json import parse_json

            members = keras_file.read_members(read_file(self.filepath))
            data = members[keras_file.WEIGHTS]
            self.config = parse_json(members[keras_file.CONFIG], keras_file.CONFIG)
            self.metadata = parse_json(members[keras_file.METADATA], keras_file.METADATA)
        elif self.filepath.endswith(".weights.h5"):
            data = read_file(self.filepath)
        else:
            raise ValueError(f"KerasFileEditor: the file must end in .keras or .weights.h5, received '{self.filepath}'")
        self.weights_dict, self.object_metadata = {}, {}
        with open_hdf5(data) as tree:
            hdf5_write.check_digest(tree)
            for where, attributes in tree.groups.items():
                if where.split("/")[-1] != "vars" or not tree.children(where):
                    continue
                path = where.removesuffix("vars").removesuffix("/")
                group = self._group(path)
                if attributes.get("name"):
                    self.object_metadata[path] = attributes["name"]
                for key, dataset in tree.children(where).items():
                    group[key] = dataset.read()

    def _group(self, path):
        group = self.weights_dict
        for part in filter(None, path.split("/")):
            group = group.setdefault(part, {})
        return group

    def summary(self):
        """Prints the objects of the file with the shapes of their weights."""
        print(f"Keras model file '{self.filepath}'")
        for path, values in _objects(self.weights_dict):
            print(f"  {path or '/'}" + (f" ({self.object_metadata[path]})" if path in self.object_metadata else ""))
            for key, value in values.items():
                print(f"    {key}: shape={np.shape(value)}, dtype={np.asarray(value).dtype}")

    def compare(self, reference_model):
        """Compares the file with a model and prints every difference.

        Args:
            reference_model: a built model.

        Returns:
            dict with "status" ("success" or "error"), "error_count" and "match_count".
        """
        from maas.saving.weights_file import weights_bytes

        with open_hdf5(weights_bytes(reference_model)) as tree:
            wanted = {path: d.shape for path, d in tree.datasets.items()}
        found = {
            f"{path}/vars/{key}".removeprefix("/"): np.shape(value)
            for path, values in _objects(self.weights_dict)
            for key, value in values.items()
        }
        wrong = [f"{p}: the model has it, the file does not" for p in wanted if p not in found]
        wrong += [f"{p}: the file has it, the model does not" for p in found if p not in wanted]
        both = [p for p in wanted if p in found]
        wrong += [f"{p}: the model has shape {wanted[p]}, the file {found[p]}" for p in both if wanted[p] != found[p]]
        matches = sum(wanted[p] == found[p] for p in both)
        for line in wrong:
            print(line)
        print(f"{matches} weights match, {len(wrong)} do not")
        return {"status": "error" if wrong else "success", "error_count": len(wrong), "match_count": matches}

    def _find(self, name):
        """(dict that holds it, key, path) of an object by its path, or by a name that occurs once.

        Raises:
            ValueError: if there is no such object, or several.
        """
        path = [p for p in name.split("/") if p]
        if len(path) > 1:
            holder = self.weights_dict
            for part in path[:-1]:
                holder = holder.get(part) if isinstance(holder, dict) else None
            places = [("/".join(path), holder)] if isinstance(holder, dict) and path[-1] in holder else []
        else:
            places = [(f"{p}/{path[-1]}", d) for p, d in _dicts(self.weights_dict) if path and path[-1] in d]
        if len(places) != 1:
            known = ", ".join(p for p, _ in _objects(self.weights_dict))
            hint = "a path is needed where a name occurs more than once" if places else "there is no such object"
            raise ValueError(f"KerasFileEditor: {hint}; the file has {known}; received '{name}'")
        place, holder = places[0]
        return holder, path[-1], place.strip("/")

    def rename_object(self, object_name, new_name):
        """Gives an object (a layer) another name.

        Args:
            object_name: name or path of the object.
            new_name: str without "/".
        """
        if "/" in new_name:
            raise ValueError(f"KerasFileEditor: new_name must be a name without '/', received '{new_name}'")
        holder, key, path = self._find(object_name)
        if new_name in holder:
            raise ValueError(f"KerasFileEditor: '{new_name}' exists beside '{object_name}' already")
        holder[new_name] = holder.pop(key)
        self._move_metadata(path, path.removesuffix(key) + new_name)

    def delete_object(self, object_name):
        """Takes an object (a layer) away, by its name or path."""
        holder, key, path = self._find(object_name)
        del holder[key]
        self._move_metadata(path, None)

    def _move_metadata(self, path, new_path):
        """What is known about an object and those in it goes to another path, or away."""
        for old in [p for p in self.object_metadata if p == path or p.startswith(f"{path}/")]:
            value = self.object_metadata.pop(old)
            if new_path is not None:
                self.object_metadata[new_path + old.removeprefix(path)] = value

    def add_object(self, object_path, weights):
        """Adds an object.

        Args:
            object_path: path, `"layers/dense_2"`; all but its last part exists.
            weights: dict from names to arrays, or to such dicts: `{"0": kernel, "1": bias}`.
        """
        _check_weights(weights)
        *above, name = [p for p in object_path.split("/") if p]
        holder = self.weights_dict
        for part in above:
            if not isinstance(holder.get(part), dict):
                raise ValueError(f"KerasFileEditor: '{'/'.join(above)}' is not in the file, received '{object_path}'")
            holder = holder[part]
        holder[name] = dict(weights)

    def delete_weight(self, object_name, weight_name):
        """Takes one weight of an object away.

        Args:
            object_name: name or path of the object.
            weight_name: str, such as "0".
        """
        holder, key, _ = self._find(object_name)
        values = holder[key]
        if str(weight_name) not in values:
            raise ValueError(
                f"KerasFileEditor: '{object_name}' has the weights {list(values)}, received '{weight_name}'"
            )
        del values[str(weight_name)]

    def add_weights(self, object_name, weights):
        """Adds weights to an object, or replaces them.

        Args:
            object_name: name or path of the object.
            weights: dict from names to arrays.
        """
        _check_weights(weights)
        holder, key, _ = self._find(object_name)
        holder[key].update(weights)

    def save(self, filepath):
        """Writes the state as a `.weights.h5` file.

        Raises:
            ValueError: for another suffix.
        """
        filepath = os.fspath(filepath)
        if not filepath.endswith(".weights.h5"):
            raise ValueError(f"KerasFileEditor: the file must end in .weights.h5, received '{filepath}'")

        def fill(file):
            for path, values in _objects(self.weights_dict):
                group = file.require_group(f"{path}/vars".removeprefix("/"))
                if path in self.object_metadata:
                    group.attrs["name"] = self.object_metadata[path]
                for key, value in values.items():
                    hdf5_write.write_dataset(group, key, np.asarray(value))

        data = hdf5_write.hdf5_bytes(fill)
        with atomic_write(filepath) as file:
            file.write(data)

    resave_weights = save


def _check_weights(weights):
    if not isinstance(weights, dict):
        raise ValueError(f"KerasFileEditor: weights must be a dict from names to arrays, received {weights!r}")


def _dicts(group, path=""):
    """(path, dict) of a group and all groups in it."""
    yield path, group
    for key, value in group.items():
        if isinstance(value, dict):
            yield from _dicts(value, f"{path}/{key}")


def _objects(group, path=""):
    """(path, {name: array}) of every group that holds arrays."""
    values = {k: v for k, v in group.items() if not isinstance(v, dict)}
    if values:
        yield path, values
    for key, value in group.items():
        if isinstance(value, dict):
            yield from _objects(value, f"{path}/{key}" if path else key)
