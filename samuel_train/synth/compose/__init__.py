"""What is sung and played: plan, harmony, melody, and how it is phrased."""
