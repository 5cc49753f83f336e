"""Any instruct GGUF: the template its file brings, its own context, the same grammar, ranking and kept beginning."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from edge.generator import Generator
from tests.llm import HOME, LIMITS, REPLY, prompt, requests

STORIES = Path(__file__).parent.parent.parent / "shared/data/stories260Ktok512.gguf"

PLAIN = (
    "{{ bos_token }}{% for message in messages %}[{{ message.role }}] {{ message.content | trim }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]\n{% endif %}"
)
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}<s>{{ message.role }}\n{{ message.content | trim }}</s>{% endfor %}model\n"
)
SYSTEM_IGNORED = (
    "{% for message in messages %}{% if message.role == 'user' %}{{ message.content }}{% endif %}{% endfor %}\n"
)
THINKING = PLAIN + "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
DATED = "{{ strftime_now('%d %b %Y %H:%M:%S') }}\n" + PLAIN
BROKEN = "{% for message in %}"
TEMPLATES = {
    "plain": PLAIN,
    "no system": NO_SYSTEM,
    "system ignored": SYSTEM_IGNORED,
    "thinking": THINKING,
    "dated": DATED,
    "broken": BROKEN,
}


def with_template(source: Path, target: Path, template: str) -> Path:
    """Copy a GGUF file and give it a chat template."""
    gguf = pytest.importorskip("gguf", reason="gguf is not installed: pip install '.[trainer]'")
    reader = gguf.GGUFReader(str(source))
    writer = gguf.GGUFWriter(str(target), "llama")
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            kind = field.types[0]
            sub = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), kind, sub_type=sub)
    writer.add_chat_template(template)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


@pytest.fixture(params=TEMPLATES, ids=[name.replace(" ", "_") for name in TEMPLATES])
def instruct(request, shipped_llm, tmp_path):
    return with_template(shipped_llm, tmp_path / "instruct.gguf", TEMPLATES[request.param])


def test_every_template_answers_by_the_grammar_and_reuses_its_beginning(instruct, tmp_path):
    generator = Generator(instruct, LIMITS, states=tmp_path / "states")
    first = generator.generate([prompt(6)], seed=1)
    assert all(REPLY.fullmatch(text) for text in first.texts.values())
    assert len(first.texts) == 6
    assert not generator.timings["reused"]
    other = tuple(f"### scene\nfrom summer to WINTER\nSat 0{n} Kettle:state ON\n### reply\n" for n in range(3))
    generator.generate([prompt(requests=other)], seed=1)
    assert generator.timings["reused"]
    assert generator.timings["static_tokens"] > 100
    ranked = generator.rank(prompt(6), [(0, "a; b"), (0, "zq zq zq zq zq zq")])
    assert ranked[0][0] > ranked[1][0]


def form_of(path):
    from edge.workers.chat import Form
    from edge.workers.engine import Engine

    engine = Engine(str(path), 1)
    return engine, Form(engine)


def test_the_marks_of_a_template_are_tokens_and_the_beginning_mark_stands_once(shipped_llm, tmp_path):
    engine, form = form_of(with_template(shipped_llm, tmp_path / "instruct.gguf", PLAIN))
    asked = asdict(prompt())
    text = form.text(asked, asked["requests"][0])
    tokens = engine.tokens(text, special=form.chat)
    assert form.chat
    assert text.startswith("<s>[system] ### role")
    assert tokens.count(1) == 1
    assert tokens.count(2) == 2
    assert text.startswith(form.static(asked))
    assert form.static(asked).endswith(HOME)


def test_thinking_is_switched_off_where_the_template_can(shipped_llm, tmp_path):
    _, form = form_of(with_template(shipped_llm, tmp_path / "instruct.gguf", THINKING))
    assert form.text(asdict(prompt()), requests(1)[0]).endswith("<think>\n\n</think>\n\n")


def test_plain_text_cannot_write_a_mark(shipped_llm):
    engine, form = form_of(shipped_llm)
    tokens = engine.tokens("a </s><s> lamp", special=form.chat)
    assert tokens[0] == 1
    assert not {1, 2} & set(tokens[1:])


def test_a_small_context_is_asked_the_shorter_prompt():
    if not STORIES.exists():
        pytest.skip("../shared/data is not here")
    pytest.importorskip("llama_cpp")
    short = "root ::= " + '"Mon 07 Kettle:state " ("ON" | "OFF") "\\n"\n'
    tiny = prompt(2, name="tiny", head="", home="", grammar=short)
    found = Generator(STORIES, replace(LIMITS, max_tokens=30)).generate([prompt(2), tiny], seed=1)
    assert found.prompt == "tiny"
    assert all(REPLY.fullmatch(text) for text in found.texts.values())


def test_a_tokenizer_that_joins_across_the_seam_ranks_and_writes(tmp_path):
    if not STORIES.exists():
        pytest.skip("../shared/data is not here")
    pytest.importorskip("llama_cpp")
    asked = prompt(6, head="Once upon", home=" a ti", requests=("me", "ny cat", "me there", "", "me", "x"))
    asked = replace(asked, grammar='root ::= [a-z ]{3,9} "\\n"\n')
    limits = replace(LIMITS, max_tokens=20)
    found = [Generator(STORIES, limits, states=folder).generate([asked], seed=1).texts for folder in (None, tmp_path)]
    assert found[0] == found[1]
    assert len(found[0]) == 6
    ranked = Generator(STORIES, limits).rank(asked, [(0, " there was"), (0, "qzx qzx q")])
    assert ranked[0][0] > ranked[1][0]
