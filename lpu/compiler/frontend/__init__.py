"""Importers: files of trained models to the float graph, and their tokenizers."""

from lpu.compiler.frontend.errors import ModelError
from lpu.compiler.frontend.files import Tokenizer, load_model, load_tokenizer

__all__ = ["ModelError", "Tokenizer", "load_model", "load_tokenizer"]
