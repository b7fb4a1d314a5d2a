from attnzoo.errors import AttnzooError, did_you_mean, divisors, first_line, listing


def test_a_message_and_its_hint_are_told_apart_and_together() -> None:
    error = AttnzooError("`ema` cannot split 48 channels into groups=32", "48 divides into 24 groups")
    assert (error.message, error.hint) == ("`ema` cannot split 48 channels into groups=32", "48 divides into 24 groups")
    assert str(error) == "`ema` cannot split 48 channels into groups=32\nhint: 48 divides into 24 groups"
    assert str(AttnzooError("no block is called `x`")) == "no block is called `x`"


def test_a_near_miss_is_suggested_and_a_far_one_is_not() -> None:
    assert did_you_mean("cbma", ["se", "cbam"]) == "did you mean `cbam`?"
    assert did_you_mean("zebra", ["se", "cbam"]) is None


def test_listing_reads_like_a_sentence() -> None:
    assert listing([]) == "nothing"
    assert listing(["a"]) == "`a`"
    assert listing(["a", "b", "c"]) == "`a`, `b` or `c`"
    assert listing([1, 2], last="and") == "`1` and `2`"


def test_divisors_are_all_and_ascending() -> None:
    assert divisors(48) == [1, 2, 3, 4, 6, 8, 12, 16, 24, 48]
    assert divisors(7) == [1, 7]


def test_the_first_line_of_an_error_is_fit_for_a_sentence() -> None:
    assert first_line(ValueError("sizes differ.\nSee the manual.")) == "sizes differ"
    assert first_line(KeyError()) == "KeyError"
