"""Hugging Face causal language models with the interface of models/lm.py, as teacher or student.

Needs the library transformers (the extra `hf`). Models come from a folder as `save_pretrained`
writes it, weights in safetensors only: such a folder cannot run code. What attention meets, with
positions, is taken where the library hands it to its attention function, so it is the same for
every architecture that uses the library's; one that does not is refused.

Differences from models/lm.py: queries may share keys and values, whose H is smaller then.
"""

import json
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from models.lm import NOTHING, Keep, LmOutput, attention_maps, check_kept
from models.text import token_bytes

Kept = dict[Keep, list[Tensor]]

_ATTENTION: Final = "recorded"  # our name for the attention function, in the library's table
_kept: ContextVar[Kept] = ContextVar("kept")  # of the forward pass that runs
_NAME = b"\xff"  # before the name of an id that stands for no text: no UTF-8 text holds this byte
_SPACE = "\u2581"  # how vocabularies of SentencePiece write a space
_INSTALL = "transformers is not installed: pip install -e '.[hf]'"


class HfModel(nn.Module):
    """A causal language model of the library; `load_hf` makes one."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens_BL: Tensor, *, keep: frozenset[Keep] = NOTHING) -> LmOutput:
        """As `LanguageModel.forward`: right padding, no mask.

        Raises:
            ValueError: rows longer than the model has positions, or a name that cannot be kept.
        """
        check_kept(keep)
        most = getattr(self.model.config, "max_position_embeddings", None)
        if most is not None and tokens_BL.shape[1] > most:
            raise ValueError(f"rows of {tokens_BL.shape[1]} tokens: the model has {most} positions")
        kept: Kept = {name: [] for name in keep if name != "states"}
        token = _kept.set(kept)
        try:
            made = self.model.base_model(
                input_ids=tokens_BL, use_cache=False, output_hidden_states="states" in keep
            )
        finally:
            _kept.reset(token)
        return LmOutput(
            hidden_BLD=made.last_hidden_state,
            head=self.model.get_output_embeddings(),
            states=tuple(made.hidden_states) if "states" in keep else (),
            **{name: tuple(tensors) for name, tensors in kept.items()},
        )


class HfVocabulary:
    """The vocabulary of a model's tokenizer, with a text for every output of the model.

    Ids that stand for no text (special tokens, and outputs without a token) have a text of their
    own that no document holds.
    """

    def __init__(self, tokenizer: Tokenizer, end: int, outputs: int) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.encode_special_tokens = True  # what a document quotes is text
        self.end = end
        self.texts = _texts(tokenizer, end, outputs)

    def encode(self, documents: Sequence[str]) -> list[NDArray[np.int32]]:
        """The ids of each document, without an end or anything else around it."""
        encoded = self._tokenizer.encode_batch_fast(list(documents), add_special_tokens=False)
        return [np.array(document.ids, np.int32) for document in encoded]


def load_hf(source: str | Path, *, network: bool = False) -> tuple[HfModel, HfVocabulary]:
    """The model, in float32, and the vocabulary of a folder, or of a name if `network` is allowed.

    Raises:
        ValueError: the library, the folder or a part of it is missing, weights are incomplete, or
            the model's attention or output is not what the interface takes it for.
    """
    try:
        transformers = import_module("transformers")  # takes seconds, and few runs need it
    except ImportError as error:
        raise ValueError(_INSTALL) from error
    folder = Path(source)
    if not network and not (folder / "config.json").is_file():
        raise ValueError(
            f"{source}: no folder with a config.json; fetch the model once, as by `hf download"
            " NAME --local-dir FOLDER`, and give the folder"
        )
    _register(transformers)
    options = {"local_files_only": not network}
    model = _model(transformers, source, options)
    # Else the library puts the normed state in the place of the last one of the stream.
    model.config.tie_last_hidden_states = False
    vocabulary = _vocabulary(transformers, source, model, options)
    made = HfModel(model)
    _check_interface(made, source)
    return made, vocabulary


def _model(transformers: Any, source: str | Path, options: dict[str, bool]) -> Any:
    try:
        model, found = transformers.AutoModelForCausalLM.from_pretrained(
            source,
            attn_implementation=_ATTENTION,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except KeyError as error:  # of architectures with tables of their own
        raise _other_attention(source) from error
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{source}: no causal language model can be read from it: {error}"
        ) from error
    if found["missing_keys"]:
        missing = sorted(map(str, found["missing_keys"]))
        raise ValueError(
            f"{source}: its weights lack {len(missing)} tensors ({missing[0]} and so on), which"
            " would be random; fetch the folder again"
        )
    return model


def _other_attention(source: str | Path) -> ValueError:
    return ValueError(
        f"{source}: its attention does not go through the library's attention functions, so nothing"
        " of it can be kept; take another model"
    )


@cache
def _register(transformers: Any) -> None:
    """Add our attention function to the library's, with the masks of its SDPA."""
    attend = transformers.AttentionInterface()["sdpa"]
    transformers.AttentionInterface.register(_ATTENTION, _recorder(attend))
    mask = transformers.AttentionMaskInterface()["sdpa"]
    transformers.AttentionMaskInterface.register(_ATTENTION, mask)


def _recorder(attend: Callable[..., Any]) -> Callable[..., Any]:
    """SDPA as the library calls it, which leaves what it was given in the pass's lists."""

    def recorded(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        **rest: Any,
    ) -> Any:
        kept = _kept.get({})
        for name, tensor in (("queries", query), ("keys", key), ("values", value)):
            if name in kept:
                kept[name].append(tensor)
        if "attentions" in kept:
            keys_BHLP = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
            scaling = rest.get("scaling")
            scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
            kept["attentions"].append(attention_maps(query, keys_BHLP, scaling, mask))
        return attend(module, query, key, value, mask, **rest)

    return recorded


def _check_interface(made: HfModel, source: str | Path) -> None:
    """One short pass must be the same by the library's own ways."""
    model = made.model.eval()
    tokens_BL = torch.arange(min(8, model.config.vocab_size))[None]
    with torch.no_grad():
        output = made(tokens_BL, keep=frozenset({"queries"}))
        logits = output.logits(output.hidden_BLD)
        model.set_attn_implementation("eager")
        expected = model(input_ids=tokens_BL, use_cache=False).logits
        model.set_attn_implementation(_ATTENTION)
    if not output.queries:
        raise _other_attention(source)
    if not torch.allclose(logits, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max())):
        raise ValueError(
            f"{source}: its logits are more than its last layer says (a soft cap, a scale or sinks"
            " of attention); models/hf.py cannot run it"
        )


def _vocabulary(
    transformers: Any, source: str | Path, model: Any, options: dict[str, bool]
) -> HfVocabulary:
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, **options)
        backend: Tokenizer = tokenizer.backend_tokenizer
    except (OSError, ValueError, AttributeError, KeyError) as error:
        raise ValueError(
            f"{source}: no tokenizer of the library `tokenizers` can be read from it ({error}):"
            " without one nobody knows what the ids mean; save the model's tokenizer.json there"
        ) from error
    if tokenizer.eos_token_id is None:
        raise ValueError(f"{source}: its tokenizer names no end of a text (eos_token)")
    outputs = model.get_output_embeddings().weight.shape[0]
    if backend.get_vocab_size() > outputs:
        raise ValueError(
            f"{source}: its tokenizer has {backend.get_vocab_size()} tokens and the model {outputs}"
            " outputs: they do not belong together"
        )
    try:
        return HfVocabulary(backend, tokenizer.eos_token_id, outputs)
    except KeyError as error:
        raise ValueError(f"{source}: its tokens cannot be read as bytes ({error})") from error


def _texts(tokenizer: Tokenizer, end: int, outputs: int) -> tuple[bytes, ...]:
    special = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    spell = _speller(tokenizer)
    texts = [_NAME + b"no token %d" % i for i in range(outputs)]
    for token, i in tokenizer.get_vocab().items():
        texts[i] = _NAME + token.encode() if i in special else spell(token)
    texts[end] = b""
    return tuple(texts)


def _speller(tokenizer: Tokenizer) -> Callable[[str], bytes]:
    """How tokens are written: a character a byte, or text with a mark for spaces and bytes."""
    written = json.loads(tokenizer.to_str())
    byte_level = '"ByteLevel"' in json.dumps([written["pre_tokenizer"], written["decoder"]])
    added = {token["content"] for token in written["added_tokens"]}

    def spell(token: str) -> bytes:
        if token in added:
            return token.encode()
        if byte_level:
            return token_bytes(token)
        if len(token) == len("<0x0A>") and token.startswith("<0x"):
            return bytes.fromhex(token[3:5])
        return token.replace(_SPACE, " ").encode()

    return spell
