"""vLLM as an upstream, running already or started here: its APIs, its tokenizer, its adapters and its load."""
