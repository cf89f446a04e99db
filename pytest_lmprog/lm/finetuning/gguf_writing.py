"""Writing a trained model as GGUF: the base's file with other weights, so that llama.cpp serves it and
constrains what it says.

For models of the llama architecture, which transformers reads from GGUF. Matrices become Q8_0 (whose error
is far below that of the base's four bits), vectors stay as they are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pytest_lmprog.errors import ConfigurationError

__all__ = ["check_architecture", "write_gguf"]

_ARCHITECTURE = "llama"
_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)\.weight")
_WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_IN_LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_HEADER = ("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture")
_OF_THE_BASE = ("general.file_type", "general.quantization_version")


def check_architecture(config: Any, path: Path) -> None:
    """Raise ConfigurationError for a model that could be trained but not written back."""
    if config.model_type != _ARCHITECTURE:
        raise ConfigurationError(
            f"{path.name} is a {config.model_type} model; only those of the {_ARCHITECTURE} architecture can "
            "be finetuned from a GGUF file",
            hint="give the folder of its transformers weights: local/path/to/folder",
        )


def write_gguf(base: Path, model: Any, target: Path) -> None:
    """Write ``base`` with the weights of ``model`` to ``target``: the same tokenizer and template."""
    import gguf

    weights = {_name(name): tensor for name, tensor in model.state_dict().items()}
    reader = gguf.GGUFReader(base)
    writer = gguf.GGUFWriter(target, _ARCHITECTURE)
    for field in reader.fields.values():
        if field.name not in (*_HEADER, *_OF_THE_BASE):
            kind = field.types[0]
            inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    heads = {"attn_q": model.config.num_attention_heads, "attn_k": model.config.num_key_value_heads}
    for tensor in reader.tensors:
        _add(gguf, writer, tensor, weights, heads)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add(gguf: Any, writer: Any, tensor: Any, weights: dict[str, Any], heads: dict[str, int]) -> None:
    """Add the trained form of one of the base's tensors (itself where the model does not have it)."""
    trained = weights.get(tensor.name)
    if trained is None:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        return
    values = trained.detach().float().numpy()
    of_heads = heads.get(tensor.name.split(".")[-2])
    if of_heads is not None:
        values = _rotated(values, of_heads)
    kind = gguf.GGMLQuantizationType.F32
    if values.ndim > 1:
        kind = gguf.GGMLQuantizationType.Q8_0
        values = gguf.quantize(values, kind)
    writer.add_tensor(tensor.name, values, raw_dtype=kind)


def _rotated(values: Any, heads: int) -> Any:
    """Return the rows in the order in which llama.cpp rotates them (pairs beside each other, where
    transformers has halves)."""
    halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)


def _name(name: str) -> str:
    """Return the name that GGUF has for a tensor of transformers' llama models."""
    found = _LAYER.fullmatch(name)
    if found is None:
        return _WHOLE.get(name, name)
    return f"blk.{found.group(1)}.{_IN_LAYER.get(found.group(2), found.group(2))}.weight"
