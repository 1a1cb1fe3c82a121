"""Models of Hugging Face behind the interface of ours: tiny ones, written and read back here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers.models import BPE

from models import hf
from models.hf import load_hf
from models.lm import attention_maps
from models.text import decode, identity

transformers = pytest.importorskip("transformers")

ROOT = Path(__file__).resolve().parents[2]
ALL = frozenset({"states", "queries", "keys", "values", "attentions"})
DOCUMENTS = ["the cat sat on the mat", "naïve </s> ünïcode\n\n  the dog"] * 10
SIZES = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 24,
}
GPT2 = {"vocab_size": 300, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 24}


def byte_level():
    """A tokenizer as GPT-2's and Llama 3's: a character a byte."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=280,
        special_tokens=["<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(DOCUMENTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<pad> $A </s>", special_tokens=[("<pad>", 0), ("</s>", 1)]
    )
    return tokenizer


def sentence_piece():
    """A tokenizer as Llama 2's: text, a mark for spaces, bytes for what is not in it."""
    letters = sorted(set("".join(DOCUMENTS[:1])) - {" "})
    names = ["<pad>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *letters]
    ids = {name: i for i, name in enumerate([*names, "th", "the", "\u2581the"])}
    merges = [("t", "h"), ("th", "e"), ("\u2581", "the")]
    tokenizer = Tokenizer(BPE(ids, merges, byte_fallback=True, unk_token="<0x00>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    tokenizer.add_special_tokens(["<pad>", "</s>"])
    return tokenizer


def write(folder, model=None, tokenizer=None, end="</s>"):
    """A folder of a model and its tokenizer, as their owners save them."""
    torch.manual_seed(0)
    model = model or transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES))
    model.save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer or byte_level(), eos_token=end
    ).save_pretrained(folder)
    return model.eval()


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A folder, the model that was saved there, and what is loaded from it."""
    folder = tmp_path_factory.mktemp("models") / "a tiny llama"
    saved = write(folder)
    return folder, saved, *load_hf(folder)


def tokens_of(rows=2, length=9):
    return torch.randint(280, (rows, length), generator=torch.Generator().manual_seed(0))


def gpt2():
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(**GPT2, bos_token_id=1, eos_token_id=1)
    )


def sliding():
    config = transformers.MistralConfig(**SIZES, sliding_window=3)
    return transformers.MistralForCausalLM(config)


def test_logits_are_those_of_the_library(llama):
    """What is loaded is what was saved, through hidden states and head."""
    _, saved, model, _ = llama
    output = model(tokens_of())
    logits = output.logits(output.hidden_BLD.flatten(0, 1)).unflatten(0, (2, 9))
    expected = saved(input_ids=tokens_of()).logits
    assert torch.allclose(logits, expected, atol=1e-5)
    assert (output.states, output.queries, output.attentions) == ((), (), ())


def test_padding_on_the_right_changes_nothing(llama):
    """A row has the states that it has alone, whatever stands behind it."""
    model, tokens = llama[2], tokens_of()
    short, long = model(tokens[:, :6]).hidden_BLD, model(tokens).hidden_BLD
    assert torch.allclose(short, long[:, :6], atol=1e-5)
    assert not torch.allclose(short[:, 5], long[:, 6], atol=1e-2)


@pytest.mark.parametrize("made", [gpt2, sliding, None])
def test_maps_are_those_of_the_library(tmp_path, made):
    """Of learned positions, of a window of three tokens and of shared keys, as `eager` has them."""
    torch.manual_seed(0)
    saved = write(tmp_path, made and made())
    saved.set_attn_implementation("eager")
    expected = saved(input_ids=tokens_of(), output_attentions=True, output_hidden_states=True)
    output = load_hf(tmp_path)[0](tokens_of(), keep=ALL)
    assert len(output.attentions) == 2
    for maps, theirs in zip(output.attentions, expected.attentions, strict=True):
        assert torch.allclose(maps, theirs, atol=1e-5)
    assert len(output.states) == 3
    for state, theirs in zip(output.states[:2], expected.hidden_states[:2], strict=True):
        assert torch.allclose(state, theirs, atol=1e-5)
    if made is sliding:
        assert output.attentions[0].tril(-3).count_nonzero() == 0


def test_what_is_kept_is_what_was_used(llama):
    """Queries and keys as they meet, keys and values of the heads that share them."""
    model = llama[2]
    output = model(tokens_of(), keep=ALL)
    for layer in range(2):
        assert output.queries[layer].shape == (2, 4, 9, 8)
        assert output.keys[layer].shape == output.values[layer].shape == (2, 2, 9, 8)
        keys, values = (t[layer].repeat_interleave(2, 1) for t in (output.keys, output.values))
        maps = attention_maps(output.queries[layer], keys, 8**-0.5)
        assert torch.allclose(maps, output.attentions[layer], atol=1e-6)
        decoder = model.model.model.layers[layer]
        mixed = decoder.self_attn.o_proj((maps @ values).transpose(1, 2).flatten(2))
        middle = output.states[layer] + mixed
        after = middle + decoder.mlp(decoder.post_attention_layernorm(middle))
        assert torch.allclose(after, output.states[layer + 1], atol=1e-5)
    assert torch.allclose(model.model.model.norm(output.states[-1]), output.hidden_BLD, atol=1e-5)


def test_a_pass_keeps_nothing_for_the_next(llama):
    """What one pass was asked for is not kept by another, even after one that failed."""
    model = llama[2]
    with pytest.raises(IndexError):
        model(torch.tensor([[10_000]]), keep=ALL)
    assert hf._kept.get(None) is None
    assert len(model(tokens_of(), keep=frozenset({"keys"})).keys) == 2
    assert model(tokens_of()).keys == ()


def test_a_model_can_be_trained(llama):
    """Gradients reach every weight through the hidden states and what was kept."""
    _, _, model, _ = llama
    output = model(tokens_of(), keep=ALL)
    (
        output.logits(output.hidden_BLD).logsumexp(-1).sum() + output.attentions[0].square().sum()
    ).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
    model.zero_grad()


@pytest.mark.parametrize("tokenizer", [byte_level, sentence_piece])
def test_any_text_comes_back(tmp_path, tokenizer):
    """Ids spell the bytes of the text, also where it quotes a special token."""
    write(tmp_path, tokenizer=tokenizer())
    _, vocabulary = load_hf(tmp_path)
    texts = ["the cat </s>", "naïve \U0001f600\n", "", " <pad>  x"]
    encoded = vocabulary.encode(texts)
    assert [decode(vocabulary, ids) for ids in encoded] == texts
    assert not {0, 1} & {i for ids in encoded for i in ids.tolist()}
    assert len(encoded[0]) < len(b"the cat </s>")


@pytest.mark.parametrize("tokenizer", [byte_level, sentence_piece])
def test_every_output_has_a_text_of_its_own(tmp_path, tokenizer):
    """As many as the model's logits; only the end is empty; what is no text is told apart."""
    write(tmp_path, tokenizer=tokenizer())
    _, vocabulary = load_hf(tmp_path)
    assert len(vocabulary.texts) == 300
    assert vocabulary.end == 1
    assert vocabulary.texts[1] == b""
    assert vocabulary.texts[0] == b"\xff<pad>"
    assert vocabulary.texts[299] == b"\xffno token 299"
    assert b" the" in vocabulary.texts
    assert sum(text == b"" for text in vocabulary.texts) == 1


def test_tokens_that_were_added_as_text_are_text(tmp_path):
    """They are written as they are, in vocabularies of either kind."""
    tokenizer = byte_level()
    tokenizer.add_tokens(["☃ day"])
    write(tmp_path, tokenizer=tokenizer)
    _, vocabulary = load_hf(tmp_path)
    assert vocabulary.texts[280] == "☃ day".encode()
    assert vocabulary.encode(["☃ day"])[0].tolist() == [280]


def test_the_identity_is_that_of_the_tokenizer(tmp_path, llama):
    """Another model of the same tokenizer has it; another tokenizer has another."""
    (tmp_path / "a").mkdir()
    write(tmp_path / "a", gpt2())
    write(tmp_path / "b", tokenizer=sentence_piece())
    same, other = (load_hf(tmp_path / name)[1] for name in ("a", "b"))
    assert identity(same) == identity(llama[3])
    assert identity(other) != identity(llama[3])


def test_importing_needs_no_transformers():
    """Who uses our own models only does not pay for the library."""
    code = "import sys, models.hf; sys.exit('transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_a_machine_without_the_library_is_told(llama):
    """The message says what to install."""
    code = (
        "import sys; sys.modules['transformers'] = None\n"
        "from models.hf import load_hf\n"
        "try: load_hf(sys.argv[1])\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(llama[0])],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "transformers is not installed: pip install -e '.[hf]'\n"


def test_no_name_is_looked_up_unasked(tmp_path):
    """Without the network allowed, a name that is no folder is refused before anything is asked."""
    with pytest.raises(ValueError, match=r"owner/model: no folder with a config\.json; fetch"):
        load_hf("owner/model")
    with pytest.raises(ValueError, match="no folder with a config"):
        load_hf(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path):
    """Also one with pickled weights: those can run code."""
    saved = write(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(saved.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=f"{tmp_path}: no causal language model can be read"):
        load_hf(tmp_path)


def test_incomplete_weights_are_refused(tmp_path):
    """A tensor that is not in the file would be random."""
    from safetensors.torch import load_file, save_file

    write(tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(ValueError, match=r"its weights lack 1 tensors \(model\.layers\.1\.mlp\.up"):
        load_hf(tmp_path)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    """Nobody knows what its ids mean."""
    write(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    with pytest.raises(ValueError, match="nobody knows what the ids mean; save the model's tok"):
        load_hf(tmp_path)


def test_a_tokenizer_without_an_end_is_refused(tmp_path):
    """A document must end for the model as it does for the corpus."""
    write(tmp_path, end=None)
    with pytest.raises(ValueError, match="names no end of a text"):
        load_hf(tmp_path)


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    """More tokens than outputs cannot be."""
    config = transformers.LlamaConfig(**SIZES | {"vocab_size": 200})
    write(tmp_path, transformers.LlamaForCausalLM(config))
    with pytest.raises(ValueError, match="280 tokens and the model 200 outputs"):
        load_hf(tmp_path)


def test_a_model_that_does_more_than_its_head_is_refused(tmp_path):
    """Caps on logits would be left out of the loss without a word."""
    config = transformers.Gemma2Config(
        **SIZES, query_pre_attn_scalar=8, attn_logit_softcapping=None, final_logit_softcapping=0.01
    )
    write(tmp_path, transformers.Gemma2ForCausalLM(config))
    with pytest.raises(ValueError, match="its logits are more than its last layer says"):
        load_hf(tmp_path)


def bloom():
    config = transformers.BloomConfig(vocab_size=300, hidden_size=32, n_layer=2, n_head=4)
    return transformers.BloomForCausalLM(config)


def falcon():
    config = transformers.FalconConfig(
        vocab_size=300, hidden_size=32, num_hidden_layers=2, num_attention_heads=4
    )
    return transformers.FalconForCausalLM(config)


@pytest.mark.parametrize("made", [bloom, falcon])
def test_a_model_with_attention_of_its_own_is_refused(tmp_path, made):
    """What is not handed to the library's attention function cannot be kept."""
    write(tmp_path, made())
    with pytest.raises(ValueError, match="its attention does not go through the library's"):
        load_hf(tmp_path)


def test_rows_beyond_the_positions_are_refused(llama):
    """Also of rotary positions, which would go on without a word."""
    with pytest.raises(ValueError, match="rows of 25 tokens: the model has 24 positions"):
        llama[2](tokens_of(length=25))


def test_a_broken_config_is_refused(tmp_path):
    """A folder of something else is named."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no such"}))
    with pytest.raises(ValueError, match=f"{tmp_path}: no causal language model can be read"):
        load_hf(tmp_path)
