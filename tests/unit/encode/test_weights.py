import json
import os
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from clipfarm_encode.models import weights as weights_module
from clipfarm_encode.models.fitting import WeightsError
from clipfarm_encode.models.vjepa2.network import CONFIGS, Config
from unit.encode.made_up import load_network, published, reference

pytestmark = pytest.mark.torch

SMALL = Config(width=48, layers=2, heads=2)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setitem(CONFIGS, "vjepa2_small", SMALL)


@pytest.fixture(scope="module")
def oracle():
    return reference(SMALL)


@pytest.fixture
def folder(oracle, tmp_path):
    oracle.save_pretrained(tmp_path / "vjepa2-small")
    return tmp_path / "vjepa2-small"


def write_checkpoint(path, oracle, **changes):
    state = published(oracle) | changes
    entries = {"target_encoder": {name: tensor for name, tensor in state.items() if tensor is not None}}
    torch.save(entries | {"encoder": {}, "epoch": 3}, path)


def test_both_forms_give_the_same_model(oracle, folder, tmp_path):
    write_checkpoint(tmp_path / "small.pt", oracle)
    from_folder, _ = load_network("vjepa2_small", str(folder))
    from_file, _ = load_network("vjepa2_small", str(tmp_path / "small.pt"))
    for (name, ours), theirs in zip(from_folder.state_dict().items(), from_file.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name
    video = torch.randn(1, 4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        difference = from_file(video) - oracle.encoder(video).last_hidden_state
    assert difference.abs().max() <= 1e-4


def test_the_entry_of_the_checkpoint_is_recorded_with_the_hash_of_the_file(oracle, tmp_path):
    write_checkpoint(tmp_path / "small.pt", oracle)
    entries = torch.load(tmp_path / "small.pt", weights_only=True)
    torch.save({"encoder": entries["target_encoder"], "target_encoder": {}}, tmp_path / "other.pt")
    _, weights = load_network("vjepa2_small", str(tmp_path / "small.pt"))
    assert (weights.source, weights.key) == ("small.pt", "target_encoder")
    assert re.fullmatch("[0-9a-f]{64}", weights.sha256)
    _, other = load_network("vjepa2_small", str(tmp_path / "other.pt"), "encoder")
    assert other.key == "encoder"
    assert other.sha256 != weights.sha256


def test_random_weights_say_that_they_mean_nothing():
    _, weights = load_network("vjepa2_small", "random")
    _, again = load_network("vjepa2_small", "random")
    assert weights == again
    assert "mean nothing" in weights.to_json()["note"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"module.backbone.blocks.1.attn.qkv.bias": None}, "key blocks.1.attn.qkv.bias is missing"),
        (
            {"module.backbone.norm.weight": None, "module.backbone.norm.bias": None},
            "norm.weight is missing, and 1",
        ),
        ({"module.backbone.cls_token": torch.zeros(1)}, "key cls_token belongs to no part of the model"),
        ({"module.backbone.blocks.2.norm1.bias": torch.zeros(48)}, "key blocks.2.norm1.bias belongs to no part"),
        (
            {"module.backbone.norm.bias": torch.zeros(47)},
            r"key norm.bias has shape \(47,\), expected \(48,\)",
        ),
        (
            {"module.backbone.patch_embed.proj.weight": torch.zeros(48, 3, 8, 8, 8)},
            r"patch_embed.proj.weight has shape \(48, 3, 8, 8, 8\), expected \(48, 3, 2, 16, 16\)",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_by_key(oracle, tmp_path, changes, message):
    write_checkpoint(tmp_path / "small.pt", oracle, **changes)
    with pytest.raises(WeightsError, match=message):
        load_network("vjepa2_small", str(tmp_path / "small.pt"))


def test_only_the_documented_leftover_is_ignored(oracle, tmp_path):
    write_checkpoint(tmp_path / "small.pt", oracle, **{"module.backbone.pos_embed": None})
    load_network("vjepa2_small", str(tmp_path / "small.pt"))


@pytest.mark.parametrize("content", [b"", b"not weights", b"hello world\n" * 100, b"PK\x03\x04 broken zip"])
def test_a_file_that_holds_no_weights_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "vitl.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=r"vitl\.pt: not a PyTorch file") as caught:
        load_network("vjepa2_small", str(tmp_path / "vitl.pt"))
    assert "\n" not in str(caught.value)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("ran",))

    torch.save({"target_encoder": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match="nothing but weights"):
        load_network("vjepa2_small", str(tmp_path / "evil.pt"))


def test_a_checkpoint_without_the_entry_names_those_that_it_has(tmp_path):
    torch.save({"ema_encoder": {}, "epoch": 1}, tmp_path / "new.pt")
    with pytest.raises(WeightsError, match="entry target_encoder is missing; found: ema_encoder, epoch"):
        load_network("vjepa2_small", str(tmp_path / "new.pt"))


@pytest.mark.parametrize(
    ("drop", "add", "message"),
    [
        ("encoder.layer.1.attention.key.bias", None, "key encoder.layer.1.attention.key.bias is missing"),
        ("encoder.layernorm.weight", None, "key encoder.layernorm.weight is missing"),
        (None, "pooler.query", "key pooler.query belongs to no part of the model"),
        (None, "encoder.layer.2.norm1.bias", "key encoder.layer.2.norm1.bias belongs to no part"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_by_key(folder, drop, add, message):
    state = load_file(folder / "model.safetensors")
    if drop:
        del state[drop]
    if add:
        state[add] = torch.zeros(48)
    save_file(state, folder / "model.safetensors")
    with pytest.raises(WeightsError, match=message):
        load_network("vjepa2_small", str(folder))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hidden_size", 96, "hidden_size is 96, the model has 48"),
        ("num_hidden_layers", 3, "num_hidden_layers is 3, the model has 2"),
        # would load without a complaint and give other features
        ("num_attention_heads", 4, "num_attention_heads is 4, the model has 2"),
        ("tubelet_size", 1, "tubelet_size is 1, the model has 2"),
        ("hidden_act", "silu", "hidden_act is 'silu', the model has 'gelu'"),
        ("layer_norm_eps", 1e-5, "layer_norm_eps is 1e-05, the model has 1e-06"),
        ("mlp_ratio", 2, "mlp_ratio gives an MLP of 96, the model has 192"),
        ("model_type", "vit", "model_type is 'vit', the model has 'vjepa2'"),
        ("hidden_size", "48", "hidden_size is '48', the model has 48"),
        ("hidden_size", "48\nand more", r"hidden_size is '48\\nand more', the model has 48"),
        ("hidden_size", None, "hidden_size is None, the model has 48"),
        ("mlp_ratio", "4", "mlp_ratio is '4', expected a number"),
        ("mlp_ratio", [4.0], r"mlp_ratio is \[4.0\], expected a number"),
        ("mlp_ratio", None, "mlp_ratio is None, expected a number"),
        ("mlp_ratio", float("inf"), "mlp_ratio is inf, expected a number"),
    ],
)
def test_a_folder_of_another_model_is_refused_by_its_config(folder, field, value, message):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {field: value}))
    with pytest.raises(WeightsError, match=f"config.json: {message}"):
        load_network("vjepa2_small", str(folder))


def split(folder, *, index=True):
    """Put a folder's weights into two files."""
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    half = len(state) // 2
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    parts = [dict(list(state.items())[:half]), dict(list(state.items())[half:])]
    for name, part in zip(names, parts, strict=True):
        save_file(part, folder / name)
    if index:
        weight_map = {key: name for name, part in zip(names, parts, strict=True) for key in part}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return names


def test_a_folder_in_several_files_is_read_whole(folder):
    whole, weights = load_network("vjepa2_small", str(folder))
    split(folder)
    parts, weights_of_parts = load_network("vjepa2_small", str(folder))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))
    assert weights.sha256 != weights_of_parts.sha256


@pytest.mark.parametrize("name", ["another.safetensors", ".model.safetensors", "model-00001-of-00002.safetensors"])
@pytest.mark.parametrize("several", [False, True])
def test_another_checkpoint_in_the_folder_is_neither_read_nor_hashed(folder, name, several):
    state = load_file(folder / "model.safetensors")
    if several and name in split(folder):
        return
    before, weights = load_network("vjepa2_small", str(folder))
    save_file({key: tensor + 1 for key, tensor in state.items()} | {"x": torch.zeros(1)}, folder / name)
    after, again = load_network("vjepa2_small", str(folder))
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))
    assert again.sha256 == weights.sha256


def break_index(folder, change):
    path = folder / "model.safetensors.index.json"
    document = json.loads(path.read_text())
    change(document["weight_map"])
    path.write_text(json.dumps(document))


FOLDERS = {
    "nothing": (
        lambda f: (f / "model.safetensors").unlink(),
        "found no safetensors file, expected model.safetensors, or",
    ),
    "another name": (
        lambda f: (f / "model.safetensors").rename(f / "vitl.safetensors"),
        "found vitl.safetensors, expected model.safetensors, or model.safetensors.index.json and what it names",
    ),
    "parts without an index": (
        lambda f: split(f, index=False),
        "found model-00001-of-00002.safetensors, model-00002-of-00002.safetensors, expected model.safetensors, or",
    ),
    "both": (
        lambda f: (
            ((f / "copy").write_bytes((f / "model.safetensors").read_bytes()), split(f))
            and (f / "copy").rename(f / "model.safetensors")
        ),
        "model.safetensors and model.safetensors.index.json are two sets of weights; remove one of them",
    ),
    "a part gone": (
        lambda f: (f / split(f)[1]).unlink(),
        "index.json: names model-00002-of-00002.safetensors, which is missing",
    ),
    "a key twice": (
        lambda f: save_file(load_file(f / (names := split(f))[0]) | load_file(f / names[1]), f / names[1]),
        "model-00002-of-00002.safetensors: key encoder.",
    ),
    "an index that is none": (
        lambda f: (split(f), (f / "model.safetensors.index.json").write_text("[]")),
        "index.json: unreadable (",
    ),
    "an index that is nested deeply": (
        lambda f: (split(f), (f / "model.safetensors.index.json").write_text("[" * 100_000)),
        "index.json: unreadable (",
    ),
    "an index of numbers": (
        lambda f: (split(f), (f / "model.safetensors.index.json").write_text('{"weight_map": {"a": 1}}')),
        "index.json: names 1, expected *.safetensors beside it",
    ),
    "a config that is nested deeply": (
        lambda f: (f / "config.json").write_text("[" * 100_000),
        "config.json: unreadable (",
    ),
    "an index that names nothing": (lambda f: (split(f), break_index(f, dict.clear)), "index.json: names no file"),
    "an index that leads out": (
        lambda f: (split(f), break_index(f, lambda each: each.update(x="../x.safetensors"))),
        "index.json: names '../x.safetensors', expected *.safetensors beside it",
    ),
    "an index with a number": (
        lambda f: (split(f), break_index(f, lambda each: each.update(x=3))),
        "index.json: ",
    ),
    "broken": (lambda f: (f / "model.safetensors").write_bytes(b"broken"), "model.safetensors: not a safetensors file"),
    "a FIFO for weights": (
        lambda f: ((f / "model.safetensors").unlink(), os.mkfifo(f / "model.safetensors")),
        "found model.safetensors, expected model.safetensors, or",
    ),
    "a FIFO for a part": (
        lambda f: ((f / (name := split(f)[1])).unlink(), os.mkfifo(f / name)),
        "index.json: names model-00002-of-00002.safetensors, which is missing",
    ),
    "a FIFO as index": (
        lambda f: os.mkfifo(f / "model.safetensors.index.json"),
        "index.json: unreadable (model.safetensors.index.json: not a regular file)",
    ),
    "a device as config": (
        lambda f: ((f / "config.json").unlink(), (f / "config.json").symlink_to("/dev/zero")),
        "config.json: unreadable (config.json: not a regular file)",
    ),
    "a list as config": (lambda f: (f / "config.json").write_text("[1]"), "config.json: found [1], expected an object"),
    "a text as config": (lambda f: (f / "config.json").write_text('"x"'), "config.json: found 'x', expected an object"),
    "no config": (lambda f: (f / "config.json").unlink(), "config.json: missing"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_that_does_not_say_which_weights_are_meant_is_refused(folder, case):
    harm, message = FOLDERS[case]
    harm(folder)
    with pytest.raises(WeightsError, match=re.escape(message)):
        load_network("vjepa2_small", str(folder))


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.int64, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn]
)
def test_weights_that_are_no_floating_point_numbers_of_their_own_are_refused_by_key(oracle, folder, tmp_path, dtype):
    state = load_file(folder / "model.safetensors")
    save_file(state | {(key := "encoder.layernorm.weight"): state[key].to(dtype)}, folder / "model.safetensors")
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(WeightsError, match=f"key {key} holds {name}, expected float32, float16 or bfloat16"):
        load_network("vjepa2_small", str(folder))
    write_checkpoint(tmp_path / "small.pt", oracle, **{"module.backbone.norm.weight": state[key].to(dtype)})
    with pytest.raises(WeightsError, match=f"key norm.weight holds {name}"):
        load_network("vjepa2_small", str(tmp_path / "small.pt"))


def test_an_entry_that_is_no_tensor_is_refused_by_key(oracle, tmp_path):
    write_checkpoint(tmp_path / "small.pt", oracle, **{"module.backbone.norm.weight": "text"})
    with pytest.raises(WeightsError, match=r"key norm\.weight holds str, expected float32"):
        load_network("vjepa2_small", str(tmp_path / "small.pt"))


def test_weights_are_held_against_the_hash_that_is_asked_for(oracle, tmp_path):
    write_checkpoint(tmp_path / "small.pt", oracle)
    _, weights = load_network("vjepa2_small", str(tmp_path / "small.pt"))
    load_network("vjepa2_small", str(tmp_path / "small.pt"), sha256=weights.sha256)
    with pytest.raises(WeightsError, match=f"SHA-256 is {weights.sha256}, expected 0000"):
        load_network("vjepa2_small", str(tmp_path / "small.pt"), sha256="0" * 64)


def test_weights_from_an_address_and_from_hugging_face_are_called_by_the_last_part_of_their_source(
    oracle, folder, tmp_path, monkeypatch
):
    write_checkpoint(tmp_path / "small.pt", oracle)
    asked = []
    monkeypatch.setattr(
        weights_module, "from_address", lambda *arguments: asked.append(arguments) or tmp_path / "small.pt"
    )
    monkeypatch.setattr(weights_module, "from_huggingface", lambda *arguments: asked.append(arguments) or folder)
    sha256 = load_network("vjepa2_small", str(tmp_path / "small.pt"))[1].sha256
    _, from_web = load_network("vjepa2_small", "https://example.org/small.pt", sha256=sha256)
    _, from_hub = load_network("vjepa2_small", "facebook/vjepa2-small", revision="0" * 40)
    assert (from_web.source, from_hub.source) == ("small.pt", "vjepa2-small")
    assert asked == [("https://example.org/small.pt", sha256), ("facebook/vjepa2-small", "0" * 40)]


def test_weights_that_cannot_be_fetched_are_an_error_of_the_weights():
    with pytest.raises(WeightsError, match="needs its SHA-256"):
        load_network("vjepa2_small", "https://example.org/vitl.pt")


def test_weights_that_are_not_there_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere\.pt: no such file or folder"):
        load_network("vjepa2_small", str(tmp_path / "nowhere.pt"))


@pytest.mark.parametrize("kind", ["FIFO", "device"])
def test_weights_that_are_neither_a_file_nor_a_folder_are_refused(tmp_path, kind):
    path = tmp_path / "vitl.pt"
    os.mkfifo(path) if kind == "FIFO" else path.symlink_to("/dev/zero")
    with pytest.raises(WeightsError, match=r"vitl\.pt: neither a file nor a folder"):
        load_network("vjepa2_tiny16", str(path))
