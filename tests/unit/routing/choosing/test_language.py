"""A text's language is told by its script and its most frequent words, and not told where there is too little to see."""
# ruff: noqa: RUF001 - other scripts are what this is about

import pytest

from gateway.routing.choosing.language import LANGUAGES, language_of

TEXTS = {
    "ar": "مرحبا كيف حالك", "bn": "আপনি কেমন আছেন", "cs": "Jak se máš a co děláš?", "da": "Hvordan har du det og hvad laver du?",
    "de": "Wie geht es dir, und was machst du?", "el": "Τι κάνεις σήμερα;", "en": "What is the capital of France?",
    "es": "¿Cuál es la capital de España?", "fa": "پدر چطور است؟", "fi": "Mitä kuuluu, ja miten sinä voit?",
    "fr": "Quelle est la capitale de la France ?", "he": "מה שלומך היום", "hi": "आप कैसे हैं", "hu": "Hogy vagy, és mit csinálsz?",
    "hy": "Ինչպես ես", "id": "Apa kabar, bagaimana dengan kamu?", "it": "Qual è la capitale della Spagna e come si chiama?",
    "ja": "今日は何をしますか", "ka": "როგორ ხარ", "ko": "오늘 뭐 해요?", "nl": "Hoe gaat het met je?", "no": "Hva gjør du, og hvordan har du det?",
    "pl": "Jak się masz i co robisz?", "pt": "Qual é a capital de Portugal e como você está?", "ro": "Ce mai faci și cum este?",
    "ru": "Привет, как дела?", "sv": "Hur mår du och vad gör du?", "ta": "நீங்கள் எப்படி இருக்கிறீர்கள்", "te": "మీరు ఎలా ఉన్నారు",
    "th": "วันนี้เป็นอย่างไรบ้าง", "tr": "Nasılsın ve bugün ne yapıyorsun?", "uk": "Як твої справи, що робиш сьогодні? Чи їси?",
    "vi": "Bạn có khỏe không?", "zh": "你好，今天天气怎么样",
}  # fmt: skip


def test_there_is_a_text_for_every_language():
    assert tuple(sorted(TEXTS)) == LANGUAGES


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_a_sentence_is_enough(language):
    assert language_of(TEXTS[language]) == language


@pytest.mark.parametrize("text", ["", "Hello", "Ann", "def f(x): return x + 1", "12345", "OK"])
def test_where_too_little_is_seen_nothing_is_said(text):
    assert language_of(text) == ""


def test_a_foreign_name_does_not_change_the_language():
    assert language_of("What is the meaning of Привет in English, and how do you say it?") == "en"
