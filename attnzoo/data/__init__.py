"""Data sets: recognised, read, checked, painted and dealt out."""

from attnzoo.data.cache import cache_folder
from attnzoo.data.dataset import open_dataset
from attnzoo.data.masks import mask, prepare
from attnzoo.data.pictures import image
from attnzoo.data.records import Dataset, Finding, Sample, Split

__all__ = ["Dataset", "Finding", "Sample", "Split", "cache_folder", "image", "mask", "open_dataset", "prepare"]
