"""Assets: what layers keep in an archive beside config and weights, such as vocabularies.

A layer that has them defines `stored_assets()`, a dict of file name to bytes, and `take_assets(dict)`. Nothing is
unpacked into files: names are keys of a table, and contents are handed over as memory.
"""

from maas.saving import state_tree

PREFIX = "assets/"


def collect(model):
    """dict of archive name to bytes of all assets of a model."""
    found = {}
    for path, obj in state_tree.walk(model):
        if hasattr(obj, "stored_assets"):
            for name, content in obj.stored_assets().items():
                found[f"{PREFIX}{path}/{name}" if path else PREFIX + name] = content
    return found


def restore(model, members):
    """Hand the assets among the members of an archive to the layers they belong to.

    Raises:
        ValueError: for an asset that no layer of the model has a place for.
    """
    stored = {name: content for name, content in members.items() if name.startswith(PREFIX)}
    if not stored:
        return
    used, paths = set(), None
    for path, obj in state_tree.walk(model):
        if not hasattr(obj, "take_assets"):
            continue
        candidates = [path]
        if not any(name.startswith(f"{PREFIX}{path}/") for name in stored):
            paths = paths or state_tree.all_paths(model)
            candidates = paths.get(id(obj), candidates)
        for candidate in candidates:
            where = f"{PREFIX}{candidate}/" if candidate else PREFIX
            own = {n[len(where) :]: c for n, c in stored.items() if n.startswith(where) and "/" not in n[len(where) :]}
            used.update(where + n for n in own)
            if own:
                obj.take_assets(own)
                break
    unknown = sorted(set(stored) - used)
    if unknown:
        raise ValueError(f"the file holds assets that the model has no place for, received {unknown[:5]}")
