"""Data protection: what is found in text, what is done about it, and how it is undone. Pure: nothing here waits or opens."""
