"""Vocabularies in files: what archives, folders and pickles hold of a lookup."""

import json
import os

import numpy as np

ASSET = "vocabulary.txt"
# Beside it where a token holds a line break, which a text file of lines cannot tell.
EXACT_ASSET = "vocabulary.json"


class VocabularyFiles:
    """The part of a lookup that stores its vocabulary, and takes it up again."""

    def save_own_variables(self, store):
        if self.output_mode == "tf_idf" and self._idf is not None:
            store["idf_weights"] = np.asarray(self._idf, "float32")

    def load_own_variables(self, store):
        if "idf_weights" in store:
            self._idf = tuple(np.asarray(store["idf_weights"], "float32").ravel().tolist())

    def stored_assets(self):
        """dict of file name to bytes: what an archive holds for this layer beside config and weights."""
        if self.input_vocabulary is not None or not self._tokens:
            return {}
        words = list(map(str, self.get_vocabulary()))
        stored = {ASSET: "\n".join(words).encode("utf-8", "surrogateescape")}
        if any("\n" in w or "\r" in w for w in words):
            stored[EXACT_ASSET] = json.dumps(words).encode()
        return stored

    def take_assets(self, assets):
        """Read what `stored_assets` gave.

        Raises:
            ValueError: if it is not a vocabulary for this layer.
        """
        if self.input_vocabulary is not None or ASSET not in assets:
            return
        lines = self._stored_words(assets)
        self._frozen_vocab_size = None
        start = self._token_start_index()
        special, tokens = lines[:start], [self._token(t) for t in lines[start:]]
        if len(special) < start or len(set(tokens)) < len(tokens):
            raise ValueError(f"{self._label()}: the stored vocabulary is damaged, received {len(lines)} lines")
        self._set_tokens(tokens)
        self._record_vocabulary_size()

    def _stored_words(self, assets):
        from maas.saving.config_json import parse_json

        try:
            if EXACT_ASSET in assets:
                words = parse_json(b'{"words": %s}' % bytes(assets[EXACT_ASSET]), EXACT_ASSET)["words"]
                if isinstance(words, list) and all(isinstance(w, str) for w in words):
                    return words
                raise ValueError(f"{self._label()}: the stored vocabulary is damaged, received {str(words)[:80]}")
            words = bytes(assets[ASSET]).decode("utf-8").split("\n")
        except UnicodeDecodeError as e:
            raise ValueError(f"{self._label()}: the stored vocabulary is no UTF-8 text, received {e}") from None
        # An empty last line is the end of the file, unless the config counts it as a token.
        while words and words[-1] == "" and len(words) != self._frozen_vocab_size:
            words.pop()
        return words

    def save_assets(self, dir_path):
        """Write the vocabulary into a folder."""
        for name, content in self.stored_assets().items():
            with open(os.path.join(dir_path, name), "wb") as f:
                f.write(content)

    def load_assets(self, dir_path):
        """Read the vocabulary from a folder."""
        if self.input_vocabulary is None:
            found = {}
            for name in (ASSET, EXACT_ASSET):
                path = os.path.join(dir_path, name)
                if name == ASSET or os.path.exists(path):
                    with open(path, "rb") as f:
                        found[name] = f.read()
            self.take_assets(found)

    def __reduce__(self):
        store = {}
        self.save_own_variables(store)
        return _remake, (type(self), self.get_config(), self.stored_assets(), store)


def refuse_path(cls, config):
    """ValueError if a config names a file: vocabularies come with the model, and nothing else is read."""
    if isinstance(config.get("vocabulary"), (str, os.PathLike)):
        raise ValueError(
            f"{cls.__name__}: a config may not name a vocabulary file, received vocabulary={config['vocabulary']!r}"
        )


def _remake(cls, config, assets, store):
    layer = cls.from_config(config)
    layer.load_own_variables(store)
    layer.take_assets(assets)
    return layer
