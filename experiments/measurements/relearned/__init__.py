"""Is a learned reward of use to a policy that had no part in it, and can one know beforehand? Run as a module."""
