"""Which language a text is in: by its script, and within Latin script by its most frequent words. A guess, and a cheap one.

It knows the languages below and no others. It says nothing (an empty text) where it sees too little: a word or two, code, names.
Languages that share a script and are not told apart here come out as the most spoken one: Bulgarian as Russian, Marathi as Hindi.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from typing import Final

LOOKED_AT: Final = 400
"""Characters of a text that count."""
_ENOUGH: Final = 2
"""Frequent words that there must be: one alone may be a name."""

_SCRIPTS: Final = (
    (0x0370, 0x03FF, "el"), (0x0400, 0x052F, "ru"), (0x0530, 0x058F, "hy"), (0x0590, 0x05FF, "he"), (0x0600, 0x077F, "ar"),
    (0x0900, 0x097F, "hi"), (0x0980, 0x09FF, "bn"), (0x0B80, 0x0BFF, "ta"), (0x0C00, 0x0C7F, "te"), (0x0E00, 0x0E7F, "th"),
    (0x10A0, 0x10FF, "ka"), (0x1100, 0x11FF, "ko"), (0x3040, 0x30FF, "ja"), (0x3400, 0x9FFF, "zh"), (0xAC00, 0xD7AF, "ko"),
)  # fmt: skip
_STARTS: Final = tuple(first for first, *_ in _SCRIPTS)
_TELLING: Final = (("ru", "ієїґ", "uk"), ("ar", "پچژگ", "fa"))
"""Letters by which a language is told from the one that the script alone suggests."""

_FREQUENT: Final = {
    "cs": "a se je na že to jsem jak pro ale by jako tak ve jsou co kde který nebo když jsi mi být má",
    "da": "og det at en den til er som på de med han af for ikke der var jeg hvad hvordan kan skal du hvor eller også",
    "de": "der die das und ist nicht ein eine ich du zu mit den dem auf für von im wie was es sie wir bitte kann warum wo wird auch",
    "en": "the a an of and to in is it you that what how for with this on are be i my me can please why when do does from write give",
    "es": "el la los las de que y en un una es por para con no se qué cómo mi me del al está como más pero puedes cuál",
    "fi": "ja on ei että se hän oli mutta kun niin mitä miten minä sinä tämä ovat voi kuin myös jos miksi voitko",
    "fr": "le la les de des et en un une est que qui pour dans ce il elle je tu vous nous pas sur avec quel quelle comment est-ce mon plus",
    "hu": "a az és hogy nem is egy van mi ez de meg csak már mint vagy hogyan mit én kell lehet ha",
    "id": "yang dan di itu dengan untuk tidak ini dari dalam akan pada juga saya ke bisa apa bagaimana adalah kamu",
    "it": "il lo la gli le di che e in un una è per con non si come cosa mi del della sono ho più perché quale puoi",
    "nl": "de het een en van is dat niet in op te zijn met voor er maar ik je hoe wat aan ook dit waarom kan wordt",
    "no": "og det at en den til er som på de med han av for ikke der var jeg hva hvordan kan skal du hvor eller også",
    "pl": "i w na nie się z do to że jest jak co o po ale czy dla tak od być mi przez jaki gdzie który są może",
    "pt": "o a os as de que e em um uma é para com não se como mais do da por qual eu você meu isso está no na são",
    "ro": "și în de la cu nu este pe un o că pentru care ce mai din sau să cum sunt dar ca al eu îmi",
    "sv": "och det att en den till är som på de med han av för inte där var jag vad hur kan ska du eller också mig",
    "tr": "ve bir bu da de için ile ne nasıl mi çok ama gibi daha var olarak ben sen bana en kadar değil hangi",  # noqa: RUF001 Turkish has it
    "vi": "và là của có không tôi bạn cho một được những trong người này các thế nào với để gì làm",
}  # fmt: skip
_LANGUAGES: Final[Mapping[str, tuple[str, ...]]] = {
    word: tuple(sorted(language for language, words in _FREQUENT.items() if word in words.split()))
    for word in {word for words in _FREQUENT.values() for word in words.split()}
}
LANGUAGES: Final = tuple(sorted({*_FREQUENT, *[code for *_, code in _SCRIPTS], *[code for *_, code in _TELLING]}))

_words = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*").findall


def language_of(text: str) -> str:
    """Give the language as ISO 639-1 has it, empty where it cannot be told."""
    text = text[:LOOKED_AT]
    if not text.isascii() and (found := _by_script(text)):
        return found
    return _by_words(text)


def _by_script(text: str) -> str:
    """Give the language of the script that more than a third of the letters are in."""
    letters = [ord(letter) for letter in text if letter.isalpha()]
    seen: Counter[str] = Counter()
    for letter in letters:
        at = bisect_right(_STARTS, letter) - 1
        if at >= 0 and letter <= _SCRIPTS[at][1]:
            seen[_SCRIPTS[at][2]] += 1
    if seen["ja"]:
        # Japanese is written with Chinese characters and kana; Chinese has no kana.
        seen["ja"] += seen.pop("zh", 0)
    for language, many in seen.most_common(1):
        if 3 * many <= len(letters):
            break
        for script, telling, other in _TELLING:
            if language == script and not set(telling).isdisjoint(text):
                return other
        return language
    return ""


def _by_words(text: str) -> str:
    """Give the language that has most of the words among its most frequent ones; none where two have as many."""
    seen: Counter[str] = Counter()
    for word in _words(text.lower()):
        for language in _LANGUAGES.get(word, ()):
            seen[language] += 1
    best = seen.most_common(2)
    if not best or best[0][1] < _ENOUGH or (len(best) > 1 and best[0][1] == best[1][1]):
        return ""
    return best[0][0]
