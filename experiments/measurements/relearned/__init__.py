"""Is a learned reward any good to a policy that never helped to make it, and can one know? Run as a module."""
