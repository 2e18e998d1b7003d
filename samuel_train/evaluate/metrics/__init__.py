"""Numbers of one recording, or of one against another: key, harmony, beat, bass, pitch, buzz, attacks, width.

None of them knows of codecs or models, so that each can be pointed at any file that was written.
"""
