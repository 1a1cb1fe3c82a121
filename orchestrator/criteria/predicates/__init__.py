"""The language of predicates: trees, their text, and a flat view of them."""
