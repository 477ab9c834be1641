"""What is found in text: numbers with the offices' own examples, and the same ones with a digit changed."""

import pytest

from gateway.config.names_settings import NAME_KINDS
from gateway.config.protection_settings import Kinds
from gateway.protection.detect import detect
from gateway.protection.finding import GROUPS, KINDS, NAMES, Finding, members, settled


def found(text, key=""):
    return [(kind, text[start:end]) for kind, start, end in detect(text, key=key)]


def wide(text):
    """The full-width forms of ASCII, as East Asian keyboards write them."""
    return "".join(char if char == " " else chr(ord(char) + 0xFEE0) for char in text)


# kind, valid (as the issuer or the standard publishes it, or a vendor's test number), invalid.
CHECKED = [
    ("card", "4111111111111111", "4111111111111112"),
    ("card", "4111 1111 1111 1111", "4111 1111 1111 1121"),
    ("card", "5555-5555-5555-4444", "5555-5555-5555-4445"),
    ("card", "2223003122003222", "2223003122003223"),
    ("card", "378282246310005", "378282246310006"),
    ("card", "3782 822463 10005", "3782 822463 10015"),
    ("card", "6011111111111117", "6011111111111118"),
    ("card", "3530111333300000", "3530111333300001"),
    ("card", "30569309025904", "30569309025905"),
    ("card", "6200000000000005", "6200000000000006"),
    ("iban", "DE89370400440532013000", "DE88370400440532013000"),
    ("iban", "GB29 NWBK 6016 1331 9268 19", "GB28 NWBK 6016 1331 9268 19"),
    ("iban", "FR14 2004 1010 0505 0001 3M02 606", "FR14 2004 1010 0505 0001 3M02 607"),
    ("iban", "NO9386011117947", "NO9386011117948"),
    ("iban", "MT84MALT011000012345MTLCAST001S", "MT84MALT011000012345MTLCAST001T"),
    ("iban", "ch93 0076 2011 6238 5295 7", "ch93 0076 2011 6238 5295 8"),
    ("us_ssn", "536-90-4399", "666-90-4399"),
    ("us_ssn", "001-01-0001", "001-00-0001"),
    ("us_ssn", "899-12-3456", "900-12-3456"),
    ("uk_nino", "AB123456C", "BG123456C"),
    ("uk_nino", "JG 12 13 16 A", "DG 12 13 16 A"),
    ("de_tax_id", "Steuer-ID 86095742719", "Steuer-ID 86095742710"),
    ("de_tax_id", "IdNr. 47 036 892 816", "IdNr. 47 036 892 817"),
    ("fr_nir", "2 55 08 14 168 025 38", "2 55 08 14 168 025 39"),
    ("fr_nir", "NIR: 255081416802538", "NIR: 255081416802537"),
    ("fr_nir", "1 84 12 2A 451 089 33", "1 84 12 2A 451 089 34"),
    ("es_dni", "12345678Z", "12345678A"),
    ("es_dni", "X1234567L", "X1234567M"),
    ("it_codice_fiscale", "RSSMRA85T10A562S", "RSSMRA85T10A562T"),
    ("nl_bsn", "BSN 111222333", "BSN 111222334"),
    ("nl_bsn", "1112.22.333", "1112.22.334"),
    ("pl_pesel", "PESEL 44051401359", "PESEL 44051401358"),
    ("be_national_number", "85.07.30-033.28", "85.07.30-033.29"),
    ("se_personnummer", "811228-9874", "811228-9875"),
    ("se_personnummer", "19811228-9874", "19811228-9873"),
    ("fi_hetu", "131052-308T", "131052-308U"),
    ("fi_hetu", "010106A990X", "010106A990R"),
    ("br_cpf", "111.444.777-35", "111.444.777-36"),
    ("br_cnpj", "11.222.333/0001-81", "11.222.333/0001-82"),
    ("in_aadhaar", "2341 2341 2346", "2341 2341 2347"),
    ("ch_ahv", "756.9217.0769.85", "756.9217.0769.84"),
    ("ch_ahv", "7569217076985", "7569217076984"),
]


@pytest.mark.parametrize(("kind", "valid", "invalid"), CHECKED)
def test_a_number_is_found_if_its_check_digit_is_right(kind, valid, invalid):
    assert [name for name, _ in found(valid)] == [kind]
    assert kind not in [name for name, _ in found(invalid)]


@pytest.mark.parametrize(("kind", "valid", "_"), CHECKED)
def test_a_number_is_found_within_a_sentence_and_exactly(kind, valid, _):
    number = found(valid)[0][1]

    for text in (f"Please note {valid}, and thank you.", f"({valid})", f"a\n{valid}\nb", f'"{valid}"', f"x={valid};"):
        assert (kind, number) in found(text), text


@pytest.mark.parametrize(("kind", "valid", "_"), CHECKED)
def test_a_number_that_is_part_of_something_longer_is_left_alone(kind, valid, _):
    number = found(valid)[0][1]

    assert (kind, number) not in found(f"A{valid}B".replace(" ", ""))
    assert (kind, number) not in found(f"77{valid}77".replace(" ", ""))


# What the machine of tests has no rule to check by: the form alone.
FORMS = [
    ("email", "jane.doe+x@mail.example.co.uk"),
    ("email", "jürgen@müller.example"),
    ("email", "o'neil@example.com"),
    ("phone", "+49 30 901820"),
    ("phone", "+1 (415) 555-2671"),
    ("phone", "+44 (0)20 7946 0958"),
    ("phone", "+919876543210"),
    ("phone", "(415) 555-2671"),
    ("phone", "415-555-2671"),
    ("phone", "01 42 68 53 00"),
    ("ip", "203.0.113.7"),
    ("ip", "2001:db8::ff00:42:8329"),
    ("ip", "2001:0db8:0000:0000:0000:ff00:0042:8329"),
    ("mac", "00:1B:44:11:3A:B7"),
    ("mac", "00-1b-44-11-3a-b7"),
    ("api_key", "sk-sg-0123456789abcdefABCDEF"),
    ("api_key", "sk-ant-api03-AbCdEfGhIjKlMnOpQrSt123456"),
    ("api_key", "sk-proj-AbCdEfGhIjKlMnOpQrSt123456"),
    ("api_key", "sk-0123456789abcdef0123456789abcdef"),
    ("api_key", "AKIAIOSFODNN7EXAMPLE"),
    ("api_key", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
    ("api_key", "xoxb-123456789012-abcdefABCDEF"),
    ("api_key", "AIzaSyA1234567890abcdefghijklmnopqrstuv"),
    ("api_key", "sk" + "_live_4eC39HqLyjWDarjtT1zdp7dc"),
    ("jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"),
    ("private_key", "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAK\n-----END RSA PRIVATE KEY-----"),
    ("private_key", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk"),
]


@pytest.mark.parametrize(("kind", "text"), FORMS)
def test_addresses_numbers_and_keys_are_found_by_their_form(kind, text):
    assert found(text) == [(kind, text)]
    assert found(f"Write to {text} today") == [(kind, text)] or kind == "private_key"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password=hunter2!", "hunter2!"),
        ("PASSWORD: 'Tr0ub4dor&3'", "Tr0ub4dor"),
        ('{"db_password": "c0rrect-horse"}', "c0rrect-horse"),
        ("export API_KEY=9f8e7d6c5b4a39281706", "9f8e7d6c5b4a39281706"),
        ("client_secret: 8f3b2a9c1d7e4f60aa12", "8f3b2a9c1d7e4f60aa12"),
        ("my password is s3cret99.", "s3cret99"),
        ("Authorization: Bearer abcDEF0123456789abcDEF", "abcDEF0123456789abcDEF"),
    ],
)
def test_what_is_called_a_password_or_a_token_is_found(text, secret):
    assert found(text) == [("password", secret)]


def test_credentials_in_an_address_are_found_and_the_address_is_not():
    text = "git clone https://bob:s3cr3t@git.example.com/x.git"

    assert found(text)[0][0] == "url_credentials"
    assert found(text)[0][1].startswith("bob:s3cr3t")


@pytest.mark.parametrize("text", ["123456782", "44051401359", "86095742719", "11144477735", "234123412346"])
def test_bare_digits_that_anything_may_be_need_a_word_before_them(text):
    assert found(f"order {text} has left") == []


def test_the_name_of_a_field_is_such_a_word():
    assert found("111222333", key="bsn") == [("nl_bsn", "111222333")]
    assert found("correct9horse", key="password") == [("password", "correct9horse")]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("card", wide("4111 1111 1111 1111")),
        ("card", "4111\u200b1111\u200b1111\u200b1111"),
        ("card", "4111\u00a01111\u00a01111\u00a01111"),
        ("card", "4111\u20111111\u20111111\u20111111"),
        ("card", "٤١١١١١١١١١١١١١١١"),
        ("card", "4\u03361\u03361\u03361\u0336 1111 1111 1111"),
        ("email", "jane\uff20example\uff0ecom"),
        ("email", "jane@example\u2024com"),
        ("email", "ja\u00adne@exam\u200dple.com"),
        ("us_ssn", "536\u201390\u20134399"),
        ("iban", wide("DE") + "89 3704 0044 0532 0130 00"),
    ],
)
def test_look_alikes_and_invisible_characters_hide_nothing(kind, text):
    assert found(f"— {text} —")[0][0] == kind
    assert found(f"— {text} —")[0][1].strip("\u0336") == text.strip("\u0336")


def test_several_things_in_one_text_are_all_found_in_order():
    text = "4111111111111111, jane@example.com and DE89370400440532013000 (536-90-4399)"

    assert [kind for kind, _ in found(text)] == ["card", "email", "iban", "us_ssn"]


def test_what_overlaps_is_covered_once_and_whole():
    assert settled([Finding("ip", 3, 8), Finding("email", 5, 12), Finding("jwt", 20, 25)]) == [
        Finding("email", 3, 12),
        Finding("jwt", 20, 25),
    ]
    assert settled([Finding("email", 0, 20), Finding("password", 10, 15)]) == [Finding("password", 0, 20)]


def test_only_what_is_asked_for_is_found():
    assert detect("jane@example.com 4111111111111111", frozenset({"card"})) == [Finding("card", 17, 33)]


def test_the_settings_know_the_same_words():
    assert set(Kinds.__args__) == KINDS | NAMES | GROUPS.keys()
    assert set(NAME_KINDS) == NAMES == members("names")
    assert members("financial") == {"card", "iban"}
