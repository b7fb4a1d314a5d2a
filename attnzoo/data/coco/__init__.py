"""COCO segmentation: read, checked, rasterised. The only room that knows pycocotools."""
