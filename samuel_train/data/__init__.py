"""From folders of stems to latents, and the latents as training reads them."""
