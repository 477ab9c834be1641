"""What each guard refuses, and what it lets pass: issue 5, "Guards before a semantic hit is served"."""

import pytest

from gateway.cache.guards import GUARDS, read, refusal


def refused_by(guard, *pairs):
    return pytest.mark.parametrize(("asked", "kept", "guard"), [(asked, kept, guard) for asked, kept in pairs])


def assert_refused(asked, kept, guard):
    assert refusal(asked, kept) == guard
    assert refusal(kept, asked) == guard


@refused_by(
    "numbers",
    ("How many calories are in 2 eggs?", "How many calories are in 3 eggs?"),
    ("How do I split a bill between four people?", "How do I split a bill between 5 people?"),
    ("Who was the first president?", "Who was the 16th president?"),
    ("Who was Henry VIII?", "Who was Henry VII?"),
    ("What is one third of 90?", "What is half of 90?"),
    ("How do I divide 10 by 5?", "How do I divide 5 by 10?"),
    ("How do I get a loan?", "How do I get a loan of $5,000?"),
)
def test_other_numbers_are_refused(asked, kept, guard):
    assert_refused(asked, kept, guard)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("What is 12 times 8?", "What's twelve times eight?"),
        ("What is 15% of 1,000?", "what is fifteen percent of 1000"),
        ("What happened on 5 March 2020?", "What happened on March 5th, 2020?"),
        ("What happened on 2020-03-05?", "What happened on March 5, 2020?"),
        ("When did World War II end?", "When did World War 2 end?"),
        ("What does 250k buy?", "What does two hundred and fifty thousand buy?"),
    ],
)
def test_a_number_in_another_form_is_the_same(asked, kept):
    assert refusal(asked, kept) == ""


@refused_by(
    "units",
    ("How tall is Mount Everest in meters?", "How tall is Mount Everest in feet?"),
    ("How much is 5 GB in MB?", "How much is 5 GB in KB?"),
    ("How much is $20 in yen?", "How much is €20 in yen?"),
    ("Bake for 20 minutes?", "Bake for 20 hours?"),
)
def test_other_units_are_refused(asked, kept, guard):
    assert_refused(asked, kept, guard)


@refused_by(
    "dates",
    ("What is the weather in Paris in June?", "What is the weather in Paris in July?"),
    ("Are you open on Saturday?", "Are you open on Sunday?"),
    ("What is the weather today?", "What is the weather tomorrow?"),
    ("What were sales last month?", "What were sales last year?"),
    ("Is the museum open at 9 am?", "Is the museum open at 9 pm?"),
    ("What year was the bridge built?", "What month was the bridge built?"),
)
def test_other_dates_are_refused(asked, kept, guard):
    assert_refused(asked, kept, guard)


@refused_by(
    "negation",
    ("Which foods contain gluten?", "Which foods do not contain gluten?"),
    ("Why does my code work?", "Why doesn't my code work?"),
    ("What can dogs eat?", "what cant dogs eat"),
    ("How do I make bread with yeast?", "How do I make bread without yeast?"),
    ("Which animals lay eggs?", "Which animals never lay eggs?"),
)
def test_a_negation_on_one_side_is_refused(asked, kept, guard):
    assert_refused(asked, kept, guard)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("How do I lock my account?", "How do I unlock my account?"),
        ("Which vaccines are safe?", "Which vaccines are unsafe?"),
        ("What is synchronous replication?", "What is asynchronous replication?"),
        ("How do I opt in to emails?", "How do I opt out of emails?"),
        ("Which is the largest planet?", "Which is the smallest planet?"),
        ("What should I eat before a workout?", "What should I eat after a workout?"),
        ("How do I buy shares?", "How do I sell shares?"),
        ("How do I turn on dark mode?", "How do I turn off dark mode?"),
        ("Who is the mortgagor?", "Who is the mortgagee?"),
        ("What is hyperthyroidism?", "What is hypothyroidism?"),
    ],
)
def test_opposites_are_refused(asked, kept):
    assert refusal(asked, kept) != ""
    assert refusal(kept, asked) != ""


@refused_by(
    "direction",
    ("Is Python faster than Java?", "Is Java faster than Python?"),
    ("How do I get from Berlin to Munich?", "How do I get from Munich to Berlin?"),
    ("Did Germany invade Poland?", "Did Poland invade Germany?"),
    ("Did Germany invade Poland?", "Was Germany invaded by Poland?"),
    ("Can my landlord sue me?", "Can I sue my landlord?"),
    ("Who defeated Napoleon?", "Whom did Napoleon defeat?"),
    ("What is the effect of sleep on memory?", "What is the effect of memory on sleep?"),
    ("What do 3 apples and 5 pears cost?", "What do 3 pears and 5 apples cost?"),
    ("How many miles is 5 km?", "How many km is 5 miles?"),
    ("What is chocolate milk?", "What is milk chocolate?"),
    ("books by Churchill", "books about Churchill"),
)
def test_swapped_roles_are_refused(asked, kept, guard):
    assert_refused(asked, kept, guard)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("How do I reverse a string in Python?", "In Python, how do I reverse a string?"),
        ("Did Germany invade Poland?", "Was Poland invaded by Germany?"),
        ("What is the difference between TCP and UDP?", "How does UDP differ from TCP?"),
        ("What is the capital of France?", "France's capital?"),
        ("What happens if the payment fails?", "If the payment fails, what happens?"),
        ("Convert 10 km to miles", "How many miles are 10 kilometers?"),
        ("Is it a fruit or a vegetable?", "Is it a vegetable or a fruit?"),
    ],
)
def test_words_in_another_order_are_the_same(asked, kept):
    assert refusal(asked, kept) == ""
    assert refusal(kept, asked) == ""


@refused_by(
    "names",
    ("What is the capital of France?", "What is the capital of Spain?"),
    ("Who is Prince William?", "Who is Prince Harry?"),
    ("How do I reset my Netflix password?", "How do I reset my Spotify password?"),
)
def test_other_names_are_refused(asked, kept, guard):
    assert_refused(asked, kept, guard)


@refused_by(
    "words",
    ("how tall is kevin hart", "how tall is kevin durant"),
    ("What is the refund policy?", "What is the privacy policy?"),
    ("How do I freeze chicken?", "How do I fry chicken?"),
    ("What are fixed costs?", "What are variable costs?"),
    ("What is a desert?", "What is a dessert?"),
    ("What is the dosage of hydroxyzine?", "What is the dosage of hydralazine?"),
)
def test_one_other_word_is_refused(asked, kept, guard):
    assert_refused(asked, kept, guard)


@refused_by(
    "quoted strings",
    ('Translate "good morning" into French', 'Translate "good evening" into French'),
    ("Translate 'cat' to German", "Translate “dog” to German"),
    ('Replace "a" with "b"', 'Replace "b" with "a"'),
    ('What rhymes with "glad"?', 'What rhymes with "happy"?'),
)
def test_other_quotations_are_refused(asked, kept, guard):
    assert_refused(asked, kept, guard)


def test_quotation_marks_may_be_left_out():
    assert refusal('What does "carpe diem" mean?', "what does carpe diem mean") == ""


@refused_by(
    "code",
    ("What does `git reset --soft` do?", "What does `git reset --hard` do?"),
    ("What does os.path.join do?", "What does os.path.split do?"),
    ("What is x > y?", "What is x < y?"),
    ("What does the -r flag of cp do?", "What does the -f flag of cp do?"),
    ("What does user_id mean?", "What does user_ids mean?"),
    ("Solve 2x + 3 = 7", "Solve 2x - 3 = 7"),
)
def test_other_code_is_refused(asked, kept, guard):
    assert_refused(asked, kept, guard)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("How do I sort an array in C?", "How do I sort an array in C++?"),
        ("How do I sort an array in C#?", "How do I sort an array in C++?"),
        ("How do I write a for loop in Python?", "How do I write a while loop in Python?"),
    ],
)
def test_other_languages_to_program_in_are_refused(asked, kept):
    assert refusal(asked, kept) != ""


@refused_by(
    "urls and ids",
    ("What is at https://example.com/a?", "What is at https://example.com/b?"),
    ("Who owns alice@example.com?", "Who owns bob@example.com?"),
    ("What is commit 3f2a9bc?", "What is commit 7d1e0fa?"),
    ("Where is INV-2023-001?", "Where is INV-2023-002?"),
    ("How do I open /etc/hosts?", "How do I open /etc/passwd?"),
    ("Ping 192.168.0.1", "Ping 192.168.1.1"),
)
def test_other_addresses_and_ids_are_refused(asked, kept, guard):
    assert_refused(asked, kept, guard)


@refused_by(
    "question type",
    ("Who invented the telephone?", "When was the telephone invented?"),
    ("How do I reset my password?", "Can I reset my password?"),
    ("What is photosynthesis?", "Why is photosynthesis?"),
    ("Write a poem about autumn", "Explain a poem about autumn"),
    ("How do I write a poem?", "Write a poem"),
    ("List the planets", "How many planets are there?"),
    ("Define entropy", "Calculate the entropy"),
)
def test_another_kind_of_question_is_refused(asked, kept, guard):
    assert_refused(asked, kept, guard)


@refused_by(
    "language",
    ("What is the capital of France?", "Quelle est la capitale de la France ?"),
    ("¿Cuál es la capital de España?", "¿Cuál es la capital de Francia?"),
    ("Какая столица Франции?", "Какая столица Испании?"),
    ("Wie weit ist es von Berlin nach Hamburg?", "Wie weit ist es von Hamburg nach Berlin?"),
)
def test_other_languages_are_refused_unless_the_words_are_the_same(asked, kept, guard):
    assert_refused(asked, kept, guard)
    assert refusal(asked, asked.lower()) == ""


@refused_by("person", ("What is my name?", "What is your name?"), ("When is his birthday?", "When is her birthday?"))
def test_another_person_is_refused(asked, kept, guard):
    assert_refused(asked, kept, guard)


@refused_by(
    "tense",
    ("Who was the president of France?", "Who is the president of France?"),
    ("Will the store open?", "Does the store open?"),
)
def test_another_tense_is_refused(asked, kept, guard):
    assert_refused(asked, kept, guard)


@refused_by(
    "modality",
    ("Must I register for the event?", "Can I register for the event?"),
    ("When can I file my taxes?", "When must I file my taxes?"),
)
def test_another_modality_is_refused(asked, kept, guard):
    assert_refused(asked, kept, guard)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("How do I reset my password?", "hwo do i rset my pasword"),
        ("How do I cancel my subscription?", "Could you please tell me how to cancel a subscription? Thanks!"),
        ("What's the price of the premium plan?", "How much does the premium plan cost?"),
        ("Can you explain what recursion is?", "What is recursion?"),
        ("What is the time zone of New York City?", "Which timezone is NYC in?"),
        ("What is string concatenation?", "What does string concatenation mean?"),
        ("What are the symptoms of the flu?", "List the symptoms of influenza"),
        ("Am I allowed to work from home?", "Can I work remotely?"),
    ],
)
def test_the_same_question_in_other_words_is_served(asked, kept):
    assert refusal(asked, kept) == ""
    assert refusal(kept, asked) == ""


def test_what_is_too_long_to_be_read_must_be_the_same():
    text = "Summarise this. " + "It was a dark night. " * 300

    assert refusal(text, text + "\n") == ""
    assert refusal(text, text.upper()) == "length"
    assert refusal(text, text + "The end.") == "length"
    assert refusal(text, "Summarise this.") == "length"


def test_a_question_is_read_once_for_many_comparisons():
    kept = read("How do I reset my password?")

    assert refusal(read("How can I reset my password?"), kept) == ""
    assert refusal("How can I reset my router?", kept) == "words"


def test_questions_without_a_word_that_means_something_are_not_the_same():
    assert refusal("What is this?", "Who are you?") != ""
    assert refusal("", "Hello") != ""
    assert refusal("?", "!") == ""


def test_every_name_of_a_guard_is_listed():
    assert len(set(GUARDS)) == len(GUARDS)
    assert {"numbers", "units", "dates", "negation", "direction", "names", "words"} < set(GUARDS)
