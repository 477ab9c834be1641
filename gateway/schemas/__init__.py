"""JSON schemas: limits on them, judgement of answers by them, and what each provider can be asked of them."""
