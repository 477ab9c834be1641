"""What is said outside about what happens here: notices of the outbox on their way to whom they are for."""
