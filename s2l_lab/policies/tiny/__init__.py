"""The embedded family: small Qwen3 models of Countdown, with the recipe that rebuilds them. See MODEL_CARD.md."""
