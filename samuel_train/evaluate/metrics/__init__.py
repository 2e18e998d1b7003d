"""What an ear hears and a mel spectrum does not: buzz, pitch, harmony, fine spectra and attacks.

Each function takes samples as soundfile gives them and knows nothing of codecs or models, so that it can be
pointed at any file that was written.
"""
