"""Pictures that a network finds alike."""
