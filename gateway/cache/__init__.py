"""The cache of answers: what an answer depends on, which question is the same as another, and what is kept. It asks no upstream."""
