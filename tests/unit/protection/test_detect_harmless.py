"""What people write all day is left alone: a finding in harmless text takes something away from an answer."""

import pytest

from gateway.protection.detect import detect

HARMLESS = """
Order 1234567890 was shipped on 2024-05-06 at 12:30:45 with tracking 1Z999AA10123456784.
Invoice INV-2024-000123, article 4006381333931, ISBN 978-3-16-148410-0, part 12345-678-90.
The build 1.2.3.4 follows v10.0.19045.3803; Chrome/120.0.0.0 and Python 3.11.4 run there. Version 2.10.11.12 too.
UUID 550e8400-e29b-41d4-a716-446655440000 and 123e4567-e89b-12d3-a456-426614174000 name two rows.
commit 9fceb02d0ae598e95dc970b74767f19372d61af8, sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
Epoch 1700000000, in milliseconds 1700000000000, in nanoseconds 1700000000000000000.
pi is 3.14159265358979323846 and e is 2.71828182845904523536; 0.4111111111111111 is a fraction.
The population is 8 100 000 000; 1,234,567,890 dollars; 100 000 000 000; 1 000 000 1 000 000.
Server listens on 127.0.0.1:8080, mask 255.255.255.0, any is 0.0.0.0; see section 3.2.1.4 of the manual.
def password(self, token: str) -> None: self.password = get_password(token); secret = os.environ["SECRET"]
password: required, token: optional, api_key: string, "password": "<your password>", password = None
if (token === undefined) { throw new Error("no token: undefined"); } const auth = useAuth();
std::vector<int> v; a::b::c(); time 12:34:56; ratio 16:9:4; DE:AD; namespace abc::def
@app.route("/x") @dataclass decorators; user@ and @user mention; icon@2x.png; npm i react@18.2.0; git@github.com:org/repo.git
sk-learn, sk-fading-circle-something, skeleton, gh_pages, xoxo, AKIA, eyJust kidding
2024-05-06T12:30:45.123456789Z; 20240506123045; 2024.05.06-12.30; 06.05.2024; 5/6/2024; 1999-2024
Call me at noon; dial down; section 415; room 555; the year 2000 01 02 03 04 05
RGB 255,128,0; #ff8800; 0xDEADBEEF; 1920x1080; 3840 2160 60; 10 20 30 40 50 60 70 80 90
ETA 15-20 min, 100-200-300 rows, score 3-2, 555-1234 is short, 12-34-56
EAN 4012345678901; GTIN 00012345600012; IMEI 353879234252633; snowflake 1765432109876543210
Matrix: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25
http://example.com:8080/path?id=1234567890123456&page=2 and https://example.com/a/12345678901/b
the password must have eight characters; your token is about to expire; this secret is safe
AB 12 or CD 34; flight LH1234; plate B-AB 1234; IT15; ES2015; DE 2024; model XYZ1234567
Lat 52.5200066, long 13.404954; 48.8566 N, 2.3522 E; 40.712776, -74.005974
"""
MOST_FALSE = 0


def false_findings():
    return [(kind, HARMLESS[start:end]) for kind, start, end in detect(HARMLESS)]


def test_nothing_is_found_in_harmless_text():
    found = false_findings()

    assert len(found) <= MOST_FALSE, found


@pytest.mark.parametrize("line", HARMLESS.strip().splitlines())
def test_nor_in_any_line_of_it(line):
    assert [(kind, line[start:end]) for kind, start, end in detect(line)] == []


def test_the_corpus_would_show_what_is_found():
    assert detect(HARMLESS + " 4111111111111111") != []
