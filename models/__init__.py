"""The project's own language model: its text, its tokenizer, its training and its checkpoint."""
