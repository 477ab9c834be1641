"""Tools from an OpenAPI document: the operations that the operator lists, called over HTTP."""
