"""timm's own layers by name, `timm_se`, `timm_eca`, …: all that `timm.layers.create_attn` builds.

They can be ablated beside attnzoo's blocks, and compared with them. This package is the one exception to "a file is
named as its block": an adapter of timm has a constructor and no equations, and two dozen files would say nothing. Each
registered name is `timm_` and timm's own; each class says which options of timm's it offers, and hands them on. The
rest is in `_adapter.py`. timm is imported when the first of its layers is built: it takes as long as torch does.
"""

from attnzoo.blocks.timm_layers import channel as channel
from attnzoo.blocks.timm_layers import position as position
from attnzoo.blocks.timm_layers import transform as transform
