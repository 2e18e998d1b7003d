"""What is sung: words that singers like, and syllables without meaning."""

from __future__ import annotations

WORDS = {
    "en-us": (
        "love", "tonight", "river", "golden", "morning", "tomorrow", "away", "hold me", "believe", "shadow",
        "never", "silver", "summer", "follow", "remember", "under", "heaven", "falling", "stay with me", "over",
        "fire", "window", "open", "alone", "baby", "waiting", "somebody", "run", "light", "dream", "time", "home",
        "burning sky", "carry", "listen", "yellow moon", "and", "for you", "in my heart", "the way",
    ),
    "it": (
        "amore", "sole", "mare", "notte", "vita mia", "luna", "cuore", "sempre", "volare", "domani", "bella",
        "sogno", "canzone", "tempo", "mano", "lontano", "fiore", "parole", "cielo", "dimmi", "ancora", "mondo",
        "vento", "sera", "felice", "perduto",
    ),
    "es": (
        "amor", "corazón", "noche", "luna", "mañana", "contigo", "mi vida", "camino", "siempre", "volver",
        "tierra", "verano", "bailando", "quiero", "soledad", "estrella", "lágrima", "fuego", "sueño", "nunca",
        "palabra", "río", "viento", "besos", "dime", "todo",
    ),
}  # fmt: skip
"""By language, as espeak-ng calls it."""

VOCABLES = ("la", "na", "da", "doo", "oh", "ah", "hey", "yeah", "ooh", "lai", "no", "[[m:m:]]")
"""Sung where there are no words. The last one, in espeak-ng's phonemes, is hummed."""
