"""Age losses: each says how many numbers the age head gives, and how they become years."""
