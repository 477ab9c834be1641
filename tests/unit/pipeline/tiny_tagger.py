"""A token classifier that is trained when a test asks for it: multinomial logistic regression on a word and its neighbours.

It learns from a few dozen sentences, is written as ONNX with its tokenizer.json and config.json, and really infers: words that
it never saw are [UNK], and only what stands around them tells what they are. The ONNX file is written by hand (the format's
field numbers are in onnx.proto), because that is all that the `onnx` package would be needed for.
"""

import itertools
import json

import numpy as np
import tokenizers

LABELS = ("O", "B-ORG", "I-ORG", "B-PER")
FORMS = (
    "{P} works at {O} .",
    "{P} works for {O} in sales .",
    "I met {P} from {O} .",
    "please call {P} at {O} today .",
    "the invoice of {O} is late .",
    "send the contract to {P} .",
    "{O} bought {O} last year .",
    "is the meeting at noon today .",
    "the weather is late in the year .",
)
PEOPLE = ("Ada", "Grace", "Alan", "Edsger")
COMPANIES = (("Acme",), ("Globex", "Corporation"), ("Initech", "Ltd"), ("Umbrella", "Corporation"))


def sentences():
    for form, person, company in itertools.product(FORMS, PEOPLE, COMPANIES):
        words, labels = [], []
        for word in form.split():
            if word == "{P}":
                words.append(person)
                labels.append("B-PER")
            elif word == "{O}":
                words += company
                labels += ["B-ORG", *["I-ORG"] * (len(company) - 1)]
            else:
                words.append(word)
                labels.append("O")
        yield words, labels


def train(vocabulary, rounds=300, rate=40.0):
    """Give the weights (neighbour, word, label) after some rounds of gradient descent."""
    known = set(itertools.chain(PEOPLE, *COMPANIES)) - {"Corporation", "Ltd"}
    rows, wanted = [], []
    for words, labels in sentences():
        # Names are learnt as words that nobody knows.
        ids = [0, *(vocabulary["[UNK]"] if word in known else vocabulary[word] for word in words), 0]
        rows += [(ids[place - 1], ids[place], ids[place + 1]) for place in range(1, len(ids) - 1)]
        wanted += [LABELS.index(label) for label in labels]
    rows, target = np.array(rows), np.eye(len(LABELS))[wanted]
    weights = np.zeros((3, len(vocabulary), len(LABELS)))
    for _ in range(rounds):
        logits = sum(weights[side][rows[:, side]] for side in range(3))
        sure = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (sure / sure.sum(axis=1, keepdims=True) - target) / len(rows)
        for side in range(3):
            np.add.at(weights[side], rows[:, side], -rate * error)
    return weights.astype(np.float32)


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, array):
    kind = {"float32": 1, "int64": 7}[str(array.dtype)]
    dims = b"".join(field(1, size) for size in array.shape)
    return dims + field(2, kind) + field(8, name) + field(9, array.tobytes())


def node(kind, inputs, output):
    return b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind)


def value(name, kind, dims):
    shape = b"".join(field(1, field(2, size) if isinstance(size, str) else field(1, size)) for size in dims)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))


def model(weights, scale=1.0):
    """Give the ONNX file: three tables, looked up for the word before, the word, and the word after, and summed."""
    ints = {"pads": [0, 1, 0, 1], "axis": [1], "zero": [0], "one": [1], "two": [2], "-one": [-1], "-two": [-2]}
    constants = {name: np.array(numbers, np.int64) for name, numbers in ints.items()}
    constants |= {"end": np.array([2**62], np.int64), "none": np.array(0, np.int64)}
    tables = {f"table{side}": weights[side] * np.float32(scale) for side in range(3)}
    slices = (("zero", "-two"), ("one", "-one"), ("two", "end"))
    nodes = [node("Pad", ["input_ids", "pads", "none"], "padded")]
    for side, (start, end) in enumerate(slices):
        nodes.append(node("Slice", ["padded", start, end, "axis"], f"ids{side}"))
        nodes.append(node("Gather", [f"table{side}", f"ids{side}"], f"said{side}"))
    nodes += [node("Add", ["said0", "said1"], "both"), node("Add", ["both", "said2"], "logits")]
    graph = b"".join(field(1, each) for each in nodes) + field(2, "tagger")
    graph += b"".join(field(5, tensor(name, array)) for name, array in {**constants, **tables}.items())
    graph += field(11, value("input_ids", 7, ("batch", "sequence")))
    graph += field(12, value("logits", 1, ("batch", "sequence", len(LABELS))))
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


def write_tagger(folder, *, scale=1.0, labels=LABELS):
    """Train one, and write model.onnx, tokenizer.json and config.json into the folder; give the path of the model."""
    words = sorted({word for sentence, _ in sentences() for word in sentence})
    vocabulary = {word: number for number, word in enumerate(("[PAD]", "[UNK]", *words))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model(train(vocabulary), scale))
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"id2label": dict(enumerate(labels))}))
    return folder / "model.onnx"
