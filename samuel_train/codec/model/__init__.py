"""The codecs' networks and their folders: the small one of this package, and Stable Audio Open's Oobleck."""
