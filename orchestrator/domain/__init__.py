"""What the product talks about: frozen, typed, no I/O. Words as in DESIGN, one meaning each."""
