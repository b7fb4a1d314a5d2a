"""The blocks, one file each: file name = registry name = test id = word on the command line."""

from attnzoo.blocks import cbam as cbam
from attnzoo.blocks import ema as ema
from attnzoo.blocks import gate as gate
from attnzoo.blocks import grid_gate as grid_gate
from attnzoo.blocks import se as se
