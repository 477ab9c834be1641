"""Prompts as people write them, labelled by whether a small model does well enough: half easy, half hard. A table, and no test."""

EASY = (
    "Hello!",
    "What is the capital of Australia?",
    "Translate 'good morning' to French.",
    "Thanks, that helped.",
    "Give me a synonym for happy.",
    "Write a short birthday greeting for my colleague Ann.",
    "What time zone is Vienna in?",
    "Fix the spelling: recieve the pacakge tomorow",
    "Convert 20 miles to kilometres.",
    "Who wrote Faust?",
    "Summarise this in one sentence: The meeting was moved from Tuesday to Thursday because the projector is broken.",
    "Is a tomato a fruit?",
    "Make this sentence more polite: Send me the file now.",
    "Übersetze 'Rechnung' ins Englische.",
    "Wie heißt die Hauptstadt von Kanada?",
    "Quelle est la capitale du Pérou ?",
    "¿Cómo se dice 'tren' en inglés?",
    "List three colours.",
    "What does HTTP stand for?",
    "Extract the e-mail address from: write to ann@example.com by Friday.",
    "Is this review positive or negative? 'The food was cold and the waiter rude.'",
    "Suggest a name for a grey cat.",
    "How many days has February in 2028?",
    "What is 17 plus 25?",
    "Rephrase: we regret to inform you that the shop is closed.",
    "Tell me a joke about cats.",
    "Which of these is a mammal: trout, bat, frog?",
    "What's the past tense of 'run'?",
    "Put these in alphabetical order: pear, apple, fig.",
    "Write a subject line for a mail about the summer party.",
)
HARD = (
    "Prove that there are infinitely many primes congruent to 3 modulo 4.",
    "Design a rate limiter for a distributed system with three regions. Compare token bucket and sliding window, and justify your choice.",
    "Refactor this function so that it has no side effects, and explain each step:\n```python\ndef f(a):\n    global x\n    x += a\n    return x\n```",
    (
        "Debug this: my asyncio service hangs after about 1,000 requests. There is a semaphore and two queues. What could deadlock, and how do "
        "I find out?"
    ),
    "Derive the gradient of softmax cross-entropy and implement it in NumPy with a numerical check.",
    "Compare the monetary policy of the ECB and the Fed from 2010 to 2020, evaluate which was more effective, and discuss the implications.",
    "Solve the equation x^3 - 6x^2 + 11x - 6 = 0 and show that all roots are real.",
    (
        "Plan a migration of a 4 TB PostgreSQL database to another region with less than five minutes of downtime. Then list the risks; finally "
        "give a rollback plan."
    ),
    "Analyse the following contract clause for risks to the tenant, and rewrite it so that they are gone: The landlord may enter at any time.",
    (
        "Write a SQL query: SELECT the top three customers of each region by revenue in the last quarter, then optimise it for a table of a "
        "billion rows, and explain the plan."
    ),
    "Implement a lock-free queue in C++ and reason about its memory ordering.",
    "Beweise, dass die Wurzel aus 2 irrational ist, und vergleiche zwei Beweise.",
    "Entwirf eine Architektur für ein System, das 10.000 Sensoren pro Sekunde verarbeitet. Begründe die Wahl der Datenbank.",
    "Démontre que la suite converge et évalue la vitesse de convergence.",
    "Diseña un experimento para medir el efecto de la luz en el crecimiento de las plantas y analiza las fuentes de error.",
    "Evaluate the integral ∫ x² e^(-x) dx from 0 to ∞, and generalise to x^n.",
    (
        "Here is a stack trace:\nTraceback (most recent call last):\n  File \"a.py\", line 3, in <module>\n    f()\nTypeError: 'NoneType' object "
        "is not callable\nInvestigate what leads to it; then propose a fix and a test."
    ),
    (
        "Three people share a flat. Ann earns twice what Ben earns, and Ben a third more than Cem. Rent is 1,200. How should they split it "
        "fairly? Consider two notions of fairness, compare them, and say which you would choose."
    ),
    "Critique this argument: since crime fell after the cameras came, the cameras reduced crime. What evidence would you need?",
    "Write a parser for arithmetic expressions with precedence, unary minus and error positions. Then add variables. Also write tests.",
    (
        "A bag has 5 red and 7 blue balls; three are drawn without replacement. What is the probability that at least two are red? Then "
        "generalise the result to n balls."
    ),
    (
        "Design a schema for a multi-tenant billing system:\n1. plans with tiers\n2. usage records\n3. invoices\n4. credit notes\nJustify "
        "each index."
    ),
    "Optimise this loop for cache locality and estimate the speed-up:\n```c\nfor (j=0;j<n;j++) for (i=0;i<n;i++) s += a[i][j];\n```",
    "Simulate an auction with five bidders step by step and infer whether truthful bidding is optimal.",
    "Compare React, Vue and Svelte for a team of four with an old jQuery code base. Assess the cost of migration, the risks, and recommend one.",
    "What are the security vulnerabilities in this handler?\n```js\napp.get('/u', (q, r) => { db.query('select * from u where id=' + q.query.id) });\n```",
    "Write an essay that contrasts Kant's and Mill's view of lying, with an example where both reach the same verdict by different reasons.",
    "Diagnose why the p99 latency doubled after we moved from HTTP/1.1 to HTTP/2, although the median fell. Which measurements would you take?",
    (
        "Formulate a linear program for scheduling 12 nurses over 3 shifts, with the constraints that nobody works two shifts in a row and "
        "everyone has two days off. Then solve a small instance by hand."
    ),
    "Why does this proof by induction that all horses have the same colour fail? Where exactly is the gap?",
)
UNSEEN_EASY = (
    "Good morning, are you there?",
    "What is the plural of 'mouse'?",
    "Give me the ISO code for Japan.",
    "Shorten this: The delivery will, in all likelihood, arrive at some point on Monday morning.",
    "Does 'affect' or 'effect' go here: the rain will ___ the harvest?",
    "Name two rivers in Poland.",
    "Turn this into a bulleted list: eggs, milk, bread, salt.",
    "Wann wurde die Berliner Mauer gebaut?",
    "What emoji means celebration?",
    "Write a two-line thank-you note to a teacher.",
)
UNSEEN_HARD = (
    "Our cron job runs twice on the night the clocks change. Work out why, and write a fix that also copes with leap seconds.",
    "Is the halting problem decidable for programs that use at most 1 kB of memory? Give a rigorous argument.",
    "Estimate how many piano tuners Chicago needs; state every assumption and how sensitive the figure is to each.",
    "Write a Rust macro that generates builder structs with compile-time checks for missing fields.",
    "Given log lines from three services with skewed clocks, reconstruct the order of events and explain how certain you are.",
    "Evaluate whether we should buy or build our billing system; consider cost over five years, risk and staffing.",
    "Find all integer solutions of 3x + 5y = 47 and show that there are no others.",
    "Explain the trade-offs between raft and paxos, then implement leader election in Go.",
    "Schreibe einen Compiler-Pass, der gemeinsame Teilausdrücke entfernt, und beweise, dass er die Bedeutung erhält.",
    (
        "Here is my pandas code; it takes 40 minutes:\n```python\nfor i, r in df.iterrows():\n    out.append(lookup(r.id))\n```\nMake it 100 times "
        "faster without changing the result."
    ),
)
"""Written after the weights were set, and never used to set them."""
