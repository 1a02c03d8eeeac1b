"""Any Arrow table as whole numbers, and back.

Each column has a vocabulary of *leaves*: cells of a number's range, levels of a category, and what stands for missing.
A leaf is written as one *digit*, or as two where a vocabulary is large. Models learn digits; a leaf and a random word
make a value again.
"""

from mirage_engine.codec.table import CodecSettings, TableCodec

__all__ = ["CodecSettings", "TableCodec"]
