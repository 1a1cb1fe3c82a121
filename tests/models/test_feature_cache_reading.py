"""Reading cached features: what is not as it was sealed is refused, and how batches are made."""
