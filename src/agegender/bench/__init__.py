"""Ways to train the same network, measured side by side."""
