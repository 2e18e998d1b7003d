"""What takes more than one recording to measure: moved voices, songs of some minutes, whole collections."""
