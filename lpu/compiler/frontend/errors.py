"""What importers raise."""


class ModelError(ValueError):
    """A model or tokenizer that cannot be read; one line naming file, tensor or operation, and the limit."""
