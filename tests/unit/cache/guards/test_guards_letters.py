"""What case, white space and signs tell apart, and what they do not; who is asked about, and in which direction."""

import pytest

from gateway.cache.guards import refusal

CASE = [
    ("How long does it take to download 1 MB?", "How long does it take to download 1 Mb?"),
    ("Is 5 mW a lot?", "Is 5 MW a lot?"),
    ("How long is 5 mm?", "How long is 5 Mm?"),
    ("What is Polish?", "What is polish?"),
    ("What may happen?", "What happens in May?"),
    ("What is the ASCII code of A?", "What is the ASCII code of a?"),
    ("Is True a keyword in Python?", "Is true a keyword in Python?"),
    ("Who was Bush?", "Who was bush?"),
    ("how much does an apple cost", "How much does an Apple cost?"),
    ("How big is Turkey?", "how big is turkey"),
    ("What is a List in Java?", "What is a list in Java?"),
    ("What is the WHO?", "What is the who?"),
    ("How does AIDS spread?", "How do aids spread?"),
    ("What is IT?", "What is it?"),
    ("how do I get a Visa?", "how do I get a visa?"),
]
SIGNS = [
    ("What is 5!", "What is 5?"),
    ("What does a & b mean?", "What does a && b mean?"),
    ("What is !x in C?", "What is x in C?"),
    ("What is [1,2]?", "What is (1,2)?"),
    ("What is {} in Python?", "What is [] in Python?"),
    ("What does ; mean?", "What does : mean?"),
    ("What does ? mean in a regex?", "What does . mean in a regex?"),
    ("What does . match in a regex?", "What does , match in a regex?"),
    ("What is 8 - 2?", "What is 8 / 2?"),
    ('What does "." mean in a regex?', 'What does "," mean in a regex?'),
]
SPACE = [
    ("What does `a  b` print?", "What does `a b` print?"),
    ("Fix:\n```\nif x:\n    a()\n    b()\n```", "Fix:\n```\nif x:\n    a()\nb()\n```"),
    ('How many blanks are in "a  b"?', 'How many blanks are in "a b"?'),
    ("Run:\nif x:\n  a()\n  b()", "Run:\nif x:\n  a()\nb()"),
    ("Parse a\tb", "Parse a b"),
    ('Is "Paris" capitalized?', 'Is "paris" capitalized?'),
]
ROLES = [
    ("What should I do?", "What should they do?"),
    ("Which country borders only France?", "Which only country borders France?"),
    ("Who is older than Ann?", "Who is Ann older than?"),
    ("Who lost to Rome?", "Who did Rome lose to?"),
    ("Does a doctor prescribe drugs?", "Does a doctor proscribe drugs?"),
]


@pytest.mark.parametrize(("asked", "kept"), [*CASE, *SIGNS, *SPACE, *ROLES])
def test_what_means_something_else_is_refused_both_ways(asked, kept):
    assert refusal(asked, kept) != ""
    assert refusal(kept, asked) != ""


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("What is the capital of paris", "What is the capital of Paris?"),
        ("how do i install python", "How do I install Python?"),
        ("what is nasa", "What is NASA?"),
        ("HOW DO I RESET MY PASSWORD", "how do i reset my password"),
        ("How many mb are 5 gb?", "How many MB are 5 GB?"),
        ("how do I  reset   my password", "How do I reset my password?"),
        ("create s3 bucket", "How do I create an S3 bucket?"),
        ("rest my pasword", "reset my password"),
        ("Is it safe to eat raw eggs?", "Is eating raw eggs safe?"),
        ("Are raw eggs safe to eat?", "Is it safe to eat raw eggs?"),
        ("On Sunday, what time do you open?", "What time do you open on Sunday?"),
        ("Do you ship to Canada?", "Can you ship to Canada?"),
        ("Is shipping to Canada possible?", "Do you ship to Canada?"),
        ("Is sugar bad for you?", "Is sugar unhealthy?"),
        ("Easter 2027 date", "When is Easter 2027?"),
        ("mona lisa painter?", "Who painted the Mona Lisa?"),
        ("How can I track my order?", "Where can I track my order?"),
        ("TCP vs UDP", "What's the difference between TCP and UDP?"),
        ("Why do cats like boxes?", "Why do cats enjoy boxes?"),
    ],
)
def test_the_same_is_served_both_ways(asked, kept):
    assert refusal(asked, kept) == ""
    assert refusal(kept, asked) == ""
