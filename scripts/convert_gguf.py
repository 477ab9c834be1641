"""Converts a GGUF file to the folder of safetensors, tokenizer and template that vLLM serves. Runs in .vllm only."""

import argparse
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig


def main() -> None:
    """Read the quantised weights, and write them as bfloat16."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    source = {"pretrained_model_name_or_path": arguments.gguf.parent, "gguf_file": arguments.gguf.name}
    AutoTokenizer.from_pretrained(**source).save_pretrained(arguments.folder)
    # Unpacked at load: a model left in GGUF blocks cannot be saved.
    unpacked = {"dtype": torch.bfloat16, "quantization_config": GgufConfig(dequantize=True)}
    AutoModelForCausalLM.from_pretrained(**source, **unpacked).save_pretrained(arguments.folder)


if __name__ == "__main__":
    main()
