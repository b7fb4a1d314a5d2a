"""MONAI's networks (1.6), each in a file of its own; importing this imports none of them."""
