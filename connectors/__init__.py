"""THE OUTSIDE WORLD: systems we ask, channels we send through, and the one guarded way out."""
