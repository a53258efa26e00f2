"""The organisations' tokens: minted by one function, read by all."""
