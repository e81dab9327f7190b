"""Permuting the hidden units of one network to match another's, before a line is drawn between the two."""

from sharpmin.alignment.channels import trace_spaces
from sharpmin.alignment.matching import Alignment, align
from sharpmin.alignment.spaces import Slot, Space, permuted

__all__ = ["Alignment", "Slot", "Space", "align", "permuted", "trace_spaces"]
