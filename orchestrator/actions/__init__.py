"""One function a use case; the command line only calls these and shows what comes back."""
