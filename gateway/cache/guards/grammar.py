"""The small words: what each does in a question. Pure tables; words with a meaning of their own stand in words.txt."""

from __future__ import annotations

NEGATIONS = {
    "not": "not", "no": "not", "cannot": "not", "never": "never", "none": "none", "neither": "neither", "nor": "neither",
    "nobody": "none", "nothing": "none", "nowhere": "none", "hardly": "hardly", "barely": "hardly", "unless": "unless",
    "dont": "not", "doesnt": "not", "didnt": "not", "cant": "not", "wont": "not", "isnt": "not", "arent": "not",
    "wasnt": "not", "shouldnt": "not", "couldnt": "not", "wouldnt": "not", "hasnt": "not", "havent": "not",
    "without": "without", "except": "except", "excluding": "except", "lacking": "without",
}  # fmt: skip
QUESTION_WORDS = {
    "what": "what", "which": "which", "who": "who", "whom": "who", "whose": "whose", "when": "when", "where": "where",
    "why": "why", "how": "how",
}  # fmt: skip
TENSES = {
    "is": "now", "are": "now", "am": "now", "do": "now", "does": "now", "has": "now", "have": "now", "was": "past",
    "were": "past", "did": "past", "had": "past", "will": "future", "shall": "future", "ll": "future",
}  # fmt: skip
MODALS = {
    "can": "can", "could": "can", "may": "can", "might": "can", "should": "should", "ought": "should", "must": "must",
    "would": "would", "will": "will", "shall": "should",
}  # fmt: skip
MODAL_QUESTIONS = frozenset({"can", "should", "must"})
OWNERS = {
    "my": "first", "mine": "first", "our": "first", "ours": "first", "your": "second", "yours": "second", "his": "him",
    "her": "her", "hers": "her", "their": "them", "theirs": "them", "he": "him", "him": "him", "she": "her", "they": "them", "them": "them",
}  # fmt: skip
# Who a question is about, whatever stands for "anyone" in it: what should I do is not what should they do.
PEOPLE = {
    "i": "us", "we": "us", "you": "us", "me": "us", "us": "us", "they": "them", "them": "them", "he": "them", "she": "them",
    "him": "them",
}  # fmt: skip
SUBJECTS = {"i": "first", "we": "first", "you": "second"}
OBJECT_PRONOUNS = frozenset(["me", "us", "him", "them"])
# A word before one of these is named, not used: a for loop is not a while loop.
NAMED_WORDS = frozenset(["loop", "loops", "statement", "statements", "keyword", "keywords", "clause", "operator"])
NOUNS_TOO = frozenset(["will", "can", "may", "might", "must", "have", "do", "does", "was"])
# What a name is said to be: the movie Jaws is Jaws.
CATEGORIES = frozenset(
    [
        "movie",
        "film",
        "book",
        "novel",
        "song",
        "planet",
        "river",
        "city",
        "band",
        "play",
        "game",
        "musical",
        "opera",
        "lake",
    ]
)
# Not all of them do is not that all of them do not.
EVERYBODY = frozenset(["all", "every", "everyone", "everybody", "everything", "both", "always"])
# What a preposition without a word of its own may stand before: who did they lose to in 2018.
ADJUNCTS = frozenset(["in", "on", "at", "during", "after", "before", "since"])
# What these say depends on where they stand: the only country, borders only France.
FOCUS = frozenset(["only", "solely", "merely", "even", "alone", "mostly", "nearly", "almost"])
# Who can do these for others does: can you ship, do you ship.
SERVICES = frozenset(["ship", "deliver", "delivery"])
# With an article these are another thing than without: a cold, cold.
COUNTED = frozenset(
    [
        "cold",
        "light",
        "glass",
        "paper",
        "iron",
        "time",
        "room",
        "work",
        "right",
        "left",
        "good",
        "second",
        "minute",
        "fast",
        "general",
        "minor",
        "major",
        "experience",
        "copper",
        "rubber",
        "tin",
        "wood",
        "fire",
        "cloth",
        "chicken",
        "lamb",
        "turkey",
        "rock",
        "stone",
        "capital",
        "interest",
        "return",
        "dark",
        "mean",
        "potential",
        "reading",
        "saying",
        "being",
        "polish",
        "solid",
        "liquid",
        "square",
        "gas",
        "standard",
        "public",
        "private",
        "native",
    ]
)
# When these do is the time of day.
OPENING = frozenset(["open", "close", "openinghours", "breakfast", "lunch", "dinner"])
# What is easy to learn is learnt: the subject is what it is done to.
EASY = frozenset(
    ["safe", "easy", "hard", "difficult", "dangerous", "expensive", "cheap", "legal", "possible", "okay", "ok"]
)
ALIKE = frozenset(
    [
        "look",
        "looks",
        "feel",
        "feels",
        "sound",
        "sounds",
        "taste",
        "smell",
        "act",
        "work",
        "behave",
        "something",
        "things",
        "just",
    ]
)
CLAUSES = frozenset(["if", "while", "because", "unless", "once"])
BEFORE_VERBS = frozenset(["to", "i", "you", "we", "not", "please", "can", "should", "must", "will"])
ONE = frozenset(["a", "an", "one", "per", "each"])
# What an order in the first place asks, and what is left of the verb.
ORDERS = {
    "compare": ("compare", ""), "contrast": ("compare", ""), "list": ("list", ""), "define": ("what", "mean~"),
    "calculate": ("calculate", ""), "compute": ("calculate", ""), "evaluate": ("calculate", ""), "translate": ("translate", ""),
    "summarize": ("summarize", ""), "summarise": ("summarize", ""), "convert": ("convert", "convert~"), "explain": ("explain", ""),
    "describe": ("explain", ""),
}  # fmt: skip
TASKS = frozenset(
    ["write", "create", "generate", "compose", "draft", "make", "design", "build", "plan", "produce", "prepare"]
)
OBJECTS = frozenset(["a", "an", "the", "me", "us", "some", "my"])
TO_BE = frozenset(["is", "are", "was", "were", "be", "been", "being", "get", "gets", "got"])
PREPOSITIONS = frozenset(
    [
        "between",
        "in",
        "of",
        "at",
        "on",
        "for",
        "to",
        "from",
        "by",
        "with",
        "about",
        "as",
        "into",
        "onto",
        "than",
        "through",
        "via",
        "per",
        "like",
        "among",
        "regarding",
        "concerning",
        "upon",
    ]
)
ARTICLES = frozenset(
    [
        "a",
        "an",
        "the",
        "this",
        "that",
        "these",
        "those",
        "some",
        "any",
        "my",
        "your",
        "our",
        "his",
        "her",
        "their",
        "its",
    ]
)
AUXILIARIES = frozenset(TENSES) | frozenset(MODALS) | frozenset({"be", "been", "being"})
JOINS = frozenset({"and", "or", "vs", "versus"})
EMPTY = frozenset(
    [
        "a",
        "an",
        "the",
        "this",
        "that",
        "these",
        "those",
        "any",
        "it",
        "its",
        "itself",
        "there",
        "here",
        "i",
        "me",
        "we",
        "us",
        "you",
        "he",
        "she",
        "him",
        "they",
        "them",
        "be",
        "been",
        "being",
        "is",
        "are",
        "am",
        "was",
        "were",
        "do",
        "does",
        "did",
        "has",
        "have",
        "had",
        "will",
        "would",
        "shall",
        "can",
        "could",
        "may",
        "might",
        "should",
        "ought",
        "must",
        "to",
        "of",
        "so",
        "then",
        "else",
        "such",
        "too",
        "also",
        "very",
        "as",
        "if",
        "than",
        "myself",
        "yourself",
        "ourselves",
        "themselves",
        "one's",
        "who",
        "whom",
        "whose",
        "which",
        "what",
        "while",
        "because",
        "but",
        "yet",
        "though",
        "whether",
        "although",
    ]
)
# What a preposition says of its word, where the other question says another: flights from Paris are not flights to Paris.
CLASHES = frozenset(
    frozenset(pair.split("-"))
    for pair in [
        "from-to",
        "from-for",
        "from-into",
        "from-at",
        "from-onto",
        "from-in",
        "from-toward",
        "by-for",
        "by-to",
        "by-from",
        "by-about",
        "by-with",
        "by-than",
        "to-than",
        "from-than",
        "than-of",
        "as-with",
        "as-for",
        "as-by",
        "as-to",
        "as-from",
        "about-from",
        "about-with",
        "about-to",
        "of-than",
        "with-from",
        "into-onto",
        "in-as",
        "like-from",
        "per-for",
    ]
)
DIRECTED = frozenset(["from", "to", "into", "onto", "than"])
_ENGLISH = "the is of what how i my do does can to for and are you it with on who where why when which should an in a will did we your this that not be have from was"
STOP_WORDS = {
    "en": frozenset(_ENGLISH.split()),
    "fr": frozenset(["le", "la", "les", "des", "une", "est", "que", "qui", "dans", "pour", "avec", "comment", "quelle", "quel", "où", "pourquoi", "je", "mon", "mes", "du", "au", "aux", "sur", "ce", "cette", "vous", "nous", "puis-je", "ne", "pas", "combien", "quand", "ou", "et", "sont", "il", "elle"]),
    "es": frozenset(["el", "la", "los", "las", "una", "es", "que", "cómo", "como", "cuál", "dónde", "por", "para", "qué", "del", "al", "en", "con", "un", "mi", "puedo", "cuándo", "cuánto", "quién", "y", "se", "son", "está", "hay"]),
    "de": frozenset(["der", "die", "das", "ist", "und", "wie", "ich", "mein", "meine", "nicht", "ein", "eine", "zu", "mit", "für", "wo", "warum", "wann", "wer", "kann", "von", "den", "dem", "des", "auf", "sind", "es", "im", "welche", "viel", "viele"]),
    "it": frozenset(["il", "lo", "gli", "la", "è", "che", "come", "dove", "per", "mio", "una", "un", "di", "del", "della", "con", "non", "quanto", "quando", "chi", "perché", "posso", "sono", "si", "le"]),
    "pt": frozenset(["o", "os", "as", "um", "uma", "é", "que", "como", "onde", "meu", "minha", "para", "por", "não", "com", "do", "da", "quando", "quem", "quanto", "posso", "são", "qual", "em"]),
    "nl": frozenset(["de", "het", "een", "en", "hoe", "ik", "mijn", "niet", "waar", "wat", "wie", "wanneer", "waarom", "kan", "van", "voor", "met", "zijn", "naar", "is", "hoeveel", "welke"]),
    "sv": frozenset(["och", "är", "hur", "jag", "min", "det", "en", "ett", "inte", "var", "vad", "vem", "när", "varför", "kan", "från", "för", "med", "på", "som"]),
    "pl": frozenset(["jest", "jak", "co", "gdzie", "kiedy", "dlaczego", "czy", "nie", "na", "do", "się", "moje", "mój", "w", "z", "i", "kto", "ile", "mogę"]),
    "tr": frozenset(["nas\u0131l", "ne", "nerede", "neden", "kim", "mi", "m\u0131", "bir", "ve", "için", "bu", "kaç", "nedir"]),
}  # fmt: skip
_SCRIPTS = (
    (0x0370, 0x03FF, "greek"), (0x0400, 0x052F, "cyrillic"), (0x0590, 0x05FF, "hebrew"), (0x0600, 0x06FF, "arabic"),
    (0x0900, 0x0DFF, "indic"), (0x0E00, 0x0E7F, "thai"), (0x3040, 0x30FF, "kana"), (0x3400, 0x9FFF, "han"),
    (0xAC00, 0xD7AF, "hangul"), (0x20000, 0x3FFFF, "han"),
)  # fmt: skip


def language(text: str, words: list[str]) -> str:
    """Give the language that the words seem to be of: "en" where nothing speaks against it, else a code or a script."""
    if not text.isascii():
        scripts = [name for first, last, name in _SCRIPTS for letter in text if first <= ord(letter) <= last]
        if scripts and len(scripts) * 3 > sum(letter.isalpha() for letter in text):
            return "japanese" if "kana" in scripts else max(set(scripts), key=scripts.count)
    said = set(words)
    english = len(said & STOP_WORDS["en"])
    counts = {name: len(said & stop) for name, stop in STOP_WORDS.items() if name != "en"}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] > english else "en"
