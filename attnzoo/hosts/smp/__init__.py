"""The models of segmentation-models-pytorch (0.6 and later), a file for each decoder or family of decoders.

Each knows where the encoder's features enter its decoder. These are the `skip` sites: a slot takes the feature as the
decoder does, at the encoder's width, before any layer of the decoder has seen it. The `bottleneck` is the deepest
feature, where the decoder begins; `decoder` sites are the results of the decoder's stages. `encoder` sites are the
results of the stages above the deepest, in every encoder whose deeper stages hear the change too.

| model           | skip                                  | signals for gates    | decoder                       |
|-----------------|---------------------------------------|----------------------|-------------------------------|
| `Unet`          | into each block                       | upsampled and coarse | after each block              |
| `UnetPlusPlus`  | into a level, once for all its nodes  | upsampled and coarse | after each node at the rim    |
| `MAnet`         | into each block                       | upsampled and coarse | after each block              |
| `Linknet`       | into each sum                         | upsampled and coarse | after each block              |
| `FPN`           | into each sum of the pyramid          | upsampled and coarse | after each level              |
| `PAN`           | into each attention up-sampling       | upsampled and coarse | after each of them, and FPA   |
| `UPerNet`       | into each sum, behind its layer norm  | upsampled and coarse | after each sum, and PSP       |
| `DeepLabV3Plus` | the one at stride 4                   | upsampled and coarse | at the end, and after ASPP    |
| `Segformer`     | into each level's linear layer        | none                 | at the end                    |
| `DPT`           | into each fusion, reassembled         | upsampled            | after each fusion             |
| `DeepLabV3`     | none: only the deepest feature enters |                      | at the end, and after ASPP    |
| `PSPNet`        | none: only the deepest feature enters |                      | at the end                    |

Features of width 0, which transformers have at stride 2, are no sites, nor is anything at the image's own resolution.
A furnished block gets a subclass whose forward is written out, and one new child, the slot: keys that were there stay.
"""
