"""Looks at what runs on a platform and changes it: listed environments and namespaces, and only the writes that are listed."""
