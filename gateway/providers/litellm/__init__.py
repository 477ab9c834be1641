"""APIs that litellm adapts: what has neither OpenAI's shape nor Anthropic's (Bedrock, Vertex, Cohere, watsonx …)."""
