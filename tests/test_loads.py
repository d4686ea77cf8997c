from math import nan

from pipeline.loads import counted_tokens, load_sentences, rate_sentence

ROW = {
    "concurrency": 640,
    "micro_batches": 5,
    "ttft_s": 9.994,
    "tpot_s": 0.1691,
    "cost_low_usd_per_token": 3.6e-7,
    "cost_high_usd_per_token": 4.5e-7,
}


def test_a_load_is_told_with_its_latency_and_the_range_of_its_price() -> None:
    assert load_sentences(ROW) == [
        "640 requests at once in 5 micro-batches: first token after 9.99 s where 128 prompts come "
        "together, 169.1 ms per output token.",
        "Four of five such predictions lie between $0.360000 and $0.450000 per million tokens.",
    ]


def test_of_what_is_free_the_range_is_that_of_its_throughput() -> None:
    free = {"cost_low_usd_per_token": 0.0, "cost_high_usd_per_token": 0.0}
    rates = {"throughput_low_tokens_per_s": 1800.4, "throughput_high_tokens_per_s": 2200.0}
    assert load_sentences({**ROW, **free, **rates})[1] == (
        "Four of five such predictions lie between 1,800 and 2,200 tokens/s."
    )


def test_prefill_has_no_time_per_output_token() -> None:
    for absent in (None, nan):
        told = load_sentences({**ROW, "concurrency": 1, "micro_batches": 1, "tpot_s": absent})[0]
        assert told == "1 request at once in 1 micro-batch: first token after 9.99 s."


def test_a_model_without_loads_has_nothing_to_tell() -> None:
    assert load_sentences({}) == load_sentences({"concurrency": nan}) == []


def test_output_alone_is_told_of_whole_requests_only() -> None:
    """130 tokens/s of 1,000 + 300 a request are 30 of output, each at 13/3 of the price."""
    row = {"throughput_tokens_per_s": 130.0, "cost_usd_per_token": 3e-6}
    mixed = {"phase": "mixed", "input_tokens": 1000, "output_tokens": 300}
    assert rate_sentence(mixed, row) == (
        "tokens/s counts prompt and output, 1,000 and 300 a request; of output alone it is 30 "
        "tokens/s at $13.000000 per million."
    )
    assert rate_sentence({"phase": "decode"}, row) == "tokens/s counts output tokens alone."
    assert counted_tokens({}).endswith("the flops model knows no decoding")
