"""Blocks and the paper's models against their twins: timm's, smp's, MONAI's, and what a tutorial would write."""
