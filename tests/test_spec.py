"""The spelling: what it means, that it is one, and what is said of each mistake."""

import random
from collections.abc import Callable
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnzoo import spec
from attnzoo.errors import AttnzooError
from attnzoo.spec import Attention, Block, Chain, Placement

names = st.sampled_from(["a", "b", "ema", "x_1", "Auto", "True", "_"])
scalars = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.text(max_size=6),
    st.sampled_from(["auto", "AUTO", "True", "none", "8", "a,b", "a+b@skip/c", "[", "it's", '"', "\\", "ä", "\ud800"]),
)


def chains(values: st.SearchStrategy[spec.Value]) -> st.SearchStrategy[tuple[Block, ...]]:
    options = st.dictionaries(names, values, max_size=2).map(lambda chosen: tuple(chosen.items()))
    return st.lists(st.builds(Block, names, options), min_size=1, max_size=2).map(tuple)


flat = scalars | st.lists(scalars, max_size=2).map(tuple)
nested = flat | chains(flat).map(Chain) | st.tuples(flat, flat)


@st.composite
def attentions(draw: st.DrawFn) -> Attention:
    """Sites that do not overlap, each with one of a few chains, so that equal chains meet."""
    sites = ["bottleneck"]
    for family in ("skip", "encoder", "decoder"):
        sites += draw(st.sampled_from([[family], [f"{family}1", f"{family}2", f"{family}12"]]))
    several = draw(st.lists(chains(nested), min_size=1, max_size=2))
    chosen = draw(st.lists(st.sampled_from(sites), unique=True, max_size=4))
    return Attention(tuple(Placement(draw(st.sampled_from(several)), (site,)) for site in chosen))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("none", "none"),
        ("ema", "ema"),
        ("ema@skip", "ema"),
        ("ema@skip1", "ema@skip1"),
        ("  ema : groups = 8 + gate @ skip ", "ema:groups=8+gate"),
        ("ema@bottleneck/ema+gate@skip", "ema+gate@skip/ema@bottleneck"),
        ("ema+gate/ema@bottleneck", "ema+gate@skip/ema@bottleneck"),
        ("se@encoder3.encoder2", "se@encoder2.encoder3"),
        ("se@skip10.skip9", "se@skip9.skip10"),
        ("se@decoder.bottleneck.skip.encoder", "se@encoder.skip.bottleneck.decoder"),
        ("se@decoder1/cbam@encoder1/ema@skip1", "ema@skip1/cbam@encoder1/se@decoder1"),
        ("ema@skip2/se@bottleneck/ema@skip1", "ema@skip1.skip2/se@bottleneck"),
        ("cbam:reduction=8:kernel=3", "cbam:kernel=3:reduction=8"),
        ("frozen:block=[ ema:groups=8 + se ]", "frozen:block=[ema:groups=8+se]"),
        ("x:a=1e-4:b=1e+5:c=-2:d=+3:e=.5", "x:a=0.0001:b=100000.0:c=-2:d=3:e=0.5"),
        ("x:a=0x10:b=1_000:c=1e30", "x:a=16:b=1000:c=1e+30"),
        ("x:a=9223372036854775807:b=-0x8000000000000000", "x:a=9223372036854775807:b=-9223372036854775808"),
        ("x:a=1e+5+gate", "x:a=100000.0+gate"),
        ("x:a=True:b=None:c=false:d='True'", "x:a=True:b=None:c=false:d='True'"),
        ("x:a=( 1 , 2 ):b=(1,):c=():d=(1):e=(a,'b,c')", "x:a=(1,2):b=(1,):c=():d=1:e=(a,'b,c')"),
        ("""x:a="auto":b='it\\'s':c=''""", """x:a=auto:b="it's":c=''"""),
        ("x:a='+@/.:,[]()='", "x:a='+@/.:,[]()='"),
    ],
)
def test_one_meaning_has_one_spelling(text: str, canonical: str) -> None:
    assert str(spec.parse(text)) == canonical
    assert str(spec.parse(canonical)) == canonical


def test_the_records_say_what_was_spelt() -> None:
    attention = spec.parse("ema:groups=8+gate/se@bottleneck")
    assert attention == Attention(
        (
            Placement((Block("ema", (("groups", 8),)), Block("gate")), ("skip",)),
            Placement((Block("se"),), ("bottleneck",)),
        )
    )
    assert spec.parse_block("frozen:block=[ema]") == Block("frozen", (("block", Chain((Block("ema"),))),))
    assert not spec.parse("none")
    assert attention


def test_values_of_another_type_make_another_attention() -> None:
    whole, real, truth = (spec.parse(f"x:a={value}") for value in ("1", "1.0", "True"))
    assert len({whole, real, truth}) == 3


def test_what_sits_at_a_site() -> None:
    attention = spec.parse("ema@skip/se@encoder1/gate@encoder12.bottleneck")
    assert attention.sites == ("encoder1", "encoder12", "skip", "bottleneck")
    assert attention.chain_at("skip3") == (Block("ema"),)
    assert attention.chain_at("encoder1") == (Block("se"),)
    assert attention.chain_at("encoder12") == attention.chain_at("bottleneck") == (Block("gate"),)
    assert attention.chain_at("encoder2") == attention.chain_at("decoder1") == ()


@given(attentions())
def test_spelling_and_reading_are_inverse(attention: Attention) -> None:
    assert spec.parse(str(attention)) == attention
    assert str(spec.parse(str(attention))) == str(attention)
    assert spec.parse_arms(f"{attention} , other:x='a,b'") == (attention, spec.parse("other:x='a,b'"))


@given(attentions(), st.randoms(use_true_random=False))
def test_order_of_writing_does_not_matter(attention: Attention, shuffler: random.Random) -> None:
    def block(one: Block) -> str:
        options = list(one.options)
        shuffler.shuffle(options)
        return " : ".join([one.name, *(f"{name} = {spec.spell(value)}" for name, value in options)])

    single = [(placement.chain, site) for placement in attention.placements for site in placement.sites]
    shuffler.shuffle(single)
    text = " / ".join(f"{' + '.join(map(block, chain))} @ {site}" for chain, site in single)
    assert spec.parse(text or "none") == attention


@given(attentions(), attentions())
def test_folders_are_distinct_and_turn_back(one: Attention, other: Attention) -> None:
    folder = one.folder
    assert len(folder.encode()) <= 200
    assert folder.isascii()
    assert not set(folder) & set("<>:\"/\\|?*'")
    assert (one == other) == (folder.casefold() == other.folder.casefold())
    assert unquote(folder) == str(one) or "~" in folder


def test_folders_of_long_and_of_capital_spellings() -> None:
    assert spec.parse("ema:groups=8@skip/se@bottleneck").folder == "ema%3Agroups=8@skip%2Fse@bottleneck"
    assert spec.parse("x:a=A").folder.casefold() != spec.parse("x:a=a").folder.casefold()
    long = [spec.parse(f"x:a='{'z' * 300}{end}'").folder for end in "ab"]
    assert [len(folder) for folder in long] == [200, 200]
    assert long[0] != long[1]


@settings(max_examples=300)
@given(st.text(alphabet="ema1 :=+@./,[]()'\"\\-eskip2none", max_size=24))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        attention = spec.parse(text)
    except AttnzooError:
        return
    assert spec.parse(str(attention)) == attention


SITES = "sites are `skip`, `encoder` and `decoder`, alone or with a level as in `skip1`, and `bottleneck`"
VALUES = "values are numbers, words, quoted texts, `(1,2)` and `[blocks]`"
INTEGERS = "integers are -9223372036854775808 to 9223372036854775807"
COMMA = "`,` separates arms, and only one is wanted here"
NESTED = "a nested chain is written `[ema+se]`, without sites"
MARKS = "`:` starts an option, `+` the next block, `@` the sites, `/` another placement"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "the spelling is empty", "`none` is a network without attention"),
        (" ", "the spelling is empty", "`none` is a network without attention"),
        ("ema+", "`ema+` ends where a block's name should come", None),
        ("+ema", "`+ema` has `+` at character 1 where a block's name should come", None),
        ("ema++se", "`ema++se` has `+` at character 5 where a block's name should come", None),
        ("8", "`8` has `8` at character 1 where a block's name should come", None),
        ("ema/", "`ema/` ends where a block's name should come", None),
        ("ema se", "`ema se` has `s` at character 5 where the end should come", MARKS),
        ("ema)", "`ema)` has `)` at character 4 where the end should come", MARKS),
        ("ema-se", "`ema-se` has `-` at character 4 where the end should come", MARKS),
        ("ema,se", "`ema,se` has `,` at character 4 where the end should come", COMMA),
        ("ema@", "`ema@` ends where a site should come", SITES),
        ("ema@skip.", "`ema@skip.` ends where a site should come", SITES),
        ("ema@foo", "`foo` is no site", SITES),
        ("ema@skp", "`skp` is no site", "did you mean `skip`?"),
        ("ema@skp2", "`skp2` is no site", "did you mean `skip`?"),
        ("ema@skip0", "`skip0` is no site", "levels count from 1, the finest: `skip1`"),
        ("ema@encoder01", "`encoder01` is no site", "levels count from 1, the finest: `encoder1`"),
        ("ema@bottleneck2", "`bottleneck2` is no site", "there is one `bottleneck`, and it has no level"),
        ("ema@skip/se@skip", "`skip` is named twice", "join what sits at one site by `+`"),
        ("ema/ema", "`skip` is named twice", "join what sits at one site by `+`"),
        ("ema@skip1/se@skip", "`skip` means every level, `skip1` among them", "name each level, or none"),
        ("ema@skip.skip2", "`skip` means every level, `skip2` among them", "name each level, or none"),
        ("ema:", "`ema:` ends where an option's name should come", None),
        ("ema:groups", "`ema:groups` ends where `=` should come", "options are written `groups=value`"),
        ("ema:groups=", "`ema:groups=` ends where a value should come", VALUES),
        ("ema:groups=-", "`ema:groups=-` has `-` at character 12 where a value should come", VALUES),
        ("ema:groups=8:groups=4", "`ema` has the option `groups` twice", "say it once"),
        ("ema:none=1", "`none` cannot be a name", "names are letters, digits and `_`, not `none`"),
        ("x:a='b", "`x:a='b` has `'` at character 5 where a text that ends with `'` should come", "close the quotes"),
        ("x:a=b.c", "`b.c` is neither a word nor a number", "put texts in quotes"),
        ("x:a=08", "`08` is neither a word nor a number", "put texts in quotes"),
        ("x:a=1j", "`1j` is neither a word nor a number", "put texts in quotes"),
        ("x:a=1e999", "`1e999` is neither a word nor a number", "put texts in quotes"),
        (r"x:a='\d'", r"`'\d'` is neither a word nor a number", "put texts in quotes"),
        ("x:a=9223372036854775808", "`9223372036854775808` has more than 64 bits", INTEGERS),
        ("x:a=(1,0x" + "f" * 5000 + ")", f"`0x{'f' * 5000}` has more than 64 bits", INTEGERS),
        ("x:a=(1", "`x:a=(1` ends where `,` or `)` should come", "a tuple is written `(1,2)`"),
        ("x:a=(,)", "`x:a=(,)` has `,` at character 6 where a value should come", VALUES),
        ("x:a=[ema", "`x:a=[ema` ends where `]` should come", NESTED),
        ("x:a=[ema@skip]", "`x:a=[ema@skip]` has `@` at character 9 where `]` should come", NESTED),
        ("x:a=[]", "`x:a=[]` has `]` at character 6 where a block's name should come", None),
        ("none+ema", "`none` stands alone, not in `none+ema`", "leave `none` out"),
        ("ema+none", "`none` stands alone, not in `ema+none`", "leave `none` out"),
        ("none@skip", "`none` stands alone, not in `none@skip`", "leave `none` out"),
        ("x:a=[none]", "`none` stands alone, not in `x:a=[none]`", "leave `none` out"),
        ("x:a=" + "(" * 40, "a value is nested deeper than 32 brackets", "say it with fewer brackets"),
    ],
)
def test_mistakes_are_told(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(AttnzooError) as caught:
        spec.parse(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_arms() -> None:
    assert list(map(str, spec.parse_arms("none, ema:x=(1,2) ,gate@skip"))) == ["none", "ema:x=(1,2)", "gate"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ema,gate,ema@skip", "`ema` is among the arms twice"),
        ("ema,", "`ema,` ends where a block's name should come"),
        ("ema,,gate", "`ema,,gate` has `,` at character 5 where a block's name should come"),
        ("", "the spelling is empty"),
    ],
)
def test_mistaken_arms_are_told(text: str, message: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        spec.parse_arms(text)
    assert caught.value.message == message


def test_blocks_alone_are_no_chains() -> None:
    assert list(map(str, spec.parse_blocks("ema:x=(1,2), se"))) == ["ema:x=(1,2)", "se"]
    with pytest.raises(AttnzooError, match=r"`ema\+se` has `\+` at character 4 where the end should come"):
        spec.parse_block("ema+se")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Block("no-name"), "`no-name` cannot be a name"),
        (lambda: Block("x", (("a b", 1),)), "`a b` cannot be a name"),
        (lambda: Block("x", (("a", float("nan")),)), "`nan` cannot be spelt as a value"),
        (lambda: Block("x", (("a", 2**20000),)), "an integer of 20001 bits cannot be spelt as a value"),
        (lambda: Block("x", (("a", [1]),)), r"`\[1\]` cannot be spelt as a value"),
        (lambda: Placement(()), "a placement needs a block and a site"),
        (lambda: Placement((Block("x"),), ()), "a placement needs a block and a site"),
        (lambda: Placement((Block("x"),), ("skip0",)), "`skip0` is no site"),
    ],
)
def test_records_that_cannot_be_spelt_cannot_be_made(build: Callable[[], object], message: str) -> None:
    with pytest.raises(AttnzooError, match=message):
        build()
