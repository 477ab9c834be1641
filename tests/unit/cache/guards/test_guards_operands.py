"""Letters that are names, code to the letter, quantities, words that are spoken of, and words that are one only beside others."""

import pytest

from gateway.cache.guards import refusal

OPERANDS = [
    ("Is a bigger than b?", "Is b bigger than a?"),
    ("Divide a by b.", "Divide b by a."),
    ("What is a/b?", "What is b/a?"),
    ("Solve for a: a + b = 3", "Solve for b: a + b = 3"),
    ("How do I subtract a from b?", "How do I subtract b from a?"),
    ("Does a imply b?", "Does b imply a?"),
    ("Add a and subtract b.", "Add b and subtract a."),
    ("What is a in the equation a = 2b?", "What is b in the equation a = 2b?"),
    ("Is a < b?", "Is b < a?"),
    ("Convert a to b", "Convert b to a"),
    ("What is the ratio of a to c?", "What is the ratio of c to a?"),
    ("What is vitamin a?", "What is a vitamin?"),
    ("What is plan a?", "What is a plan?"),
    ("What is a type I error?", "What is a type error?"),
    ("What is hepatitis a?", "What is hepatitis?"),
    ("Is option a correct?", "Is the option correct?"),
    ("Loop over i and print j", "Loop over j and print i"),
]
CODE = [
    ("What does x[-1] do?", "What does x[1] do?"),
    ("Explain a[1:] in Python", "Explain a[:1] in Python"),
    ("What does a[0:2] give?", "What does a[0]:2 give?"),
    ("What is args[-1]?", "What is args[1]?"),
    ("What does a? match?", "What does ?a match?"),
    ("What does !a mean?", "What does a! mean?"),
    ("What does :) mean?", "What does :( mean?"),
    ("What does (x) mean in Lisp?", "What does x mean in Lisp?"),
]
QUANTITIES = [
    ("List all countries in Africa.", "List some countries in Africa."),
    ("What are all the US states?", "What are some of the US states?"),
    ("Name all of the planets.", "Name some of the planets."),
    ("Give me an example of a mammal.", "Give me examples of mammals."),
    ("How much do all of them weigh?", "How much does each of them weigh?"),
]
SPOKEN_OF = [
    ("How do I say thanks in Japanese?", "How do I say hello in Japanese?"),
    ("How do you spell sorry?", "How do you spell please?"),
    ("Translate hello", "Translate thanks"),
    ("good morning in Thai", "hello in Thai"),
    ("How do I dig a well?", "How do I dig?"),
    ("What does ok mean?", "What does lol mean?"),
]
MEANINGS = [
    ("How much is a train ticket in Berlin?", "How much is a train fine in Berlin?"),
    ("Why is the soup hot?", "Why is the soup spicy?"),
    ("How do I raise sheep?", "How do I lift sheep?"),
    ("Which drugs are illegal?", "Which medicines are illegal?"),
    ("What is the population of Great Britain?", "What is the population of the United Kingdom?"),
    ("What is the tax on a house?", "What is the tax rate on a house?"),
    ("At what time did the Titanic sink?", "When did the Titanic sink?"),
    ("How do I delete an email permanently?", "How do I delete an email?"),
    ("Is location tracking on by default?", "Is location tracking on?"),
    ("How do I replace a washer?", "How do I replace a washing machine?"),
    ("What is climate change?", "What is global warming?"),
    ("How do I change a tyre?", "How do I update a tyre?"),
    ("What is a primary school?", "What is a main school?"),
    ("What is a normal distribution?", "What is a distribution?"),
    ("What is a bug?", "What is a defect?"),
    ("Is it possible to take a knife?", "Is it allowed to take a knife?"),
    ("What is a cold?", "What is cold?"),
    ("What is a good?", "What are goods?"),
    ("Who is paying?", "Who is being paid?"),
    ("How old was Einstein?", "How old is Einstein?"),
]


@pytest.mark.parametrize(("asked", "kept"), [*OPERANDS, *CODE, *QUANTITIES, *SPOKEN_OF, *MEANINGS])
def test_what_needs_two_answers_is_refused_both_ways(asked, kept):
    assert refusal(asked, kept) != ""
    assert refusal(kept, asked) != ""


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("Is a tomato a fruit?", "is tomato a fruit"),
        ("How do I get a visa for a child?", "How can I get a visa for my child?"),
        ("Solve a + b = 3 for a.", "solve a+b=3 for a"),
        ("Explain [1, 2, 3] in Python", "Explain [1,2,3] in Python"),
        ("thanks :) how do I reset my router", "How do I reset my router?"),
        ("List the planets.", "List all planets."),
        ("Hello, how do I cancel my plan? Thanks!", "How do I cancel my plan?"),
        ("Good morning, how do I cancel my plan?", "How can I cancel my plan?"),
        ("What is the refund policy, thanks in advance", "What's the refund policy?"),
        ("How do I change my email address?", "How can I update my email?"),
        ("What time do you open on Sunday?", "When do you open on Sunday?"),
        ("What year was Mozart born?", "When was Mozart born?"),
        ("How do I restart my router?", "How do I reboot my router?"),
    ],
)
def test_what_needs_one_answer_is_served_both_ways(asked, kept):
    assert refusal(asked, kept) == ""
    assert refusal(kept, asked) == ""
