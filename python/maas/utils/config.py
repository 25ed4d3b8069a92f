"""Config: named values that are read and set as attributes or items."""

import json
from collections.abc import MutableMapping

from maas.missing_names import near_matches

_OWN = ("_config", "_frozen")


class Config(MutableMapping):
    """Named values: `config.rate = 0.1`, `config["rate"]`, and all that a dict does.

    Args:
        **kwargs: the first values.

    `freeze()` makes every change an error, `unfreeze()` allows them again.

    Raises:
        AttributeError: for an attribute that is not there.
        KeyError: for an item that is not there.
        ValueError: for a change while it is frozen.
    """

    def __init__(self, **kwargs):
        object.__setattr__(self, "_config", kwargs)
        object.__setattr__(self, "_frozen", False)

    @property
    def frozen(self):
        """bool, whether values can be changed."""
        return self._frozen

    def freeze(self):
        """No more changes."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self):
        """Changes again."""
        object.__setattr__(self, "_frozen", False)

    def as_dict(self):
        """A dict of the values."""
        return dict(self._config)

    def to_json(self):
        """The values as JSON text."""
        return json.dumps(self._config)

    def _changed(self, name):
        if self._frozen:
            raise ValueError(f"Config: the config is frozen; call unfreeze() before a change, received '{name}'")

    def update(self, *args, **kwargs):
        """Takes values from a dict or keywords."""
        new = dict(*args, **kwargs)
        self._changed(", ".join(new))
        self._config.update(new)

    def pop(self, name, *default):
        """A value, which is taken out."""
        self._changed(name)
        return self._config.pop(name, *default)

    def __getattr__(self, name):
        if name in self.__dict__.get("_config", ()):
            return self._config[name]
        near = near_matches(name, list(self.__dict__.get("_config", ())), 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise AttributeError(f"Config has no value '{name}'.{hint}")

    def __setattr__(self, name, value):
        if name in _OWN or isinstance(getattr(type(self), name, None), property):
            raise AttributeError(f"Config: '{name}' is no value of a config, received {value!r}")
        self[name] = value

    def __delattr__(self, name):
        if name not in self._config:
            raise AttributeError(f"Config has no value '{name}'")
        del self[name]

    def __getitem__(self, name):
        return self._config[name]

    def __setitem__(self, name, value):
        self._changed(name)
        self._config[name] = value

    def __delitem__(self, name):
        self._changed(name)
        del self._config[name]

    def __iter__(self):
        return iter(sorted(self._config))

    def __len__(self):
        return len(self._config)

    def __repr__(self):
        return f"<Config {self._config}>"
