"""Weights out of a bundle, from which training goes on when folder or checkpoint are gone.

    python -m samuel_export.read_back BUNDLE -o CODEC
    python -m samuel_export.read_back BUNDLE --denoiser -o checkpoint.safetensors

`samuel-train codec --refine CODEC` then teaches the decoder for latents that stay what they were, and
`samuel-export BUNDLE --decoder CODEC` puts it into the bundle, whose denoiser stays as it is. `samuel-train fit --from
checkpoint.safetensors` goes on with the denoiser.
"""
