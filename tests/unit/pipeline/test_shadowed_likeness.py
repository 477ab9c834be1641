"""How alike two embeddings are is a cosine, whatever rounding makes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.events import Embeddings
from gateway.pipeline.shadowed_answer import cosine

VECTOR = st.lists(st.floats(-1, 1).filter(lambda one: abs(one) > 1e-3), min_size=4, max_size=4).map(tuple)


def test_equal_embeddings_are_as_alike_as_can_be():
    one = Embeddings(vectors=((0.1, 0.7, 0.3, 0.9),))

    assert cosine(one, one) <= 1
    assert cosine(one, one) == pytest.approx(1)


@given(one=VECTOR, factor=st.sampled_from([-3.0, -1.0, 0.1, 1.0, 7.0]))
def test_a_cosine_stays_between_its_bounds(one, factor):
    other = tuple(value * factor for value in one)

    assert -1 <= cosine(Embeddings(vectors=(one,)), Embeddings(vectors=(other,))) <= 1
