"""What the process tells about itself: logs, metrics, spans. All of it is made after an answer has left."""
