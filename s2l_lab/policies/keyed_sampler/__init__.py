"""The sampler of transformers models: a draw is a function of its key, equal to the bit on a CPU whatever is sampled
beside it. `sampler` is the entry and names what each module is for."""
