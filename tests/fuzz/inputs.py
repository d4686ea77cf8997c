"""Strategies: for every target the inputs that it is tried with, starting from sound ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from pipeline.config.schema import Config
from tests.fuzz.cases import Case, Content, Special
from tests.fuzz.hostile import SNIPPETS, changed, damaged, scalars, small_numbers, values
from tests.fuzz.runs import damaged_runs
from tests.roofline_helpers import BLOCK_ROW, ROW
from tests.sweeps import SMALL

CONFIGS = Path(__file__).parent.parent.parent / "configs"
TEXTS = {file.name: file.read_bytes() for file in sorted(CONFIGS.glob("*.yaml"))}
PUBLISHED = {f"csv/{file.name}": file.read_bytes() for file in (CONFIGS / "medium-csv").glob("*")}
SOUND: Sequence[dict[str, Any]] = (
    *(yaml.safe_load(text) for text in TEXTS.values()),
    SMALL,
    {**SMALL, "network": {"rows": [[0, 100], [50, 0]]}},
    {**SMALL, "network": {"gb_per_s": 9, "overrides": [{"gpus": "0-1", "to": 0, "gb_per_s": 1}]}},
    {**SMALL, "network": {"matrix": "m.csv"}},
    {**{k: v for k, v in SMALL.items() if k != "model"}, "hf_config": "config.json"},
    {**SMALL, "sweep": {**SMALL["sweep"], "over": {"workload.batch_size": [1, 2, 4]}}},
    {**SMALL, "sweep": {**SMALL["sweep"], "over": {"pool.Fast.max_tp": [None, 1], "limits": [{}]}}},
)
MATRIX = b",g0,g1\ng0,0,100\ng1,100,0\n"


def _schema_paths() -> list[tuple[str | int, ...]]:
    """List the fields that a config may have, with the first entry of every list."""
    found: list[tuple[str | int, ...]] = []
    for section in yaml.safe_load(_SECTIONS):
        model = Config.model_json_schema()["$defs"][section["is"]]
        found += [(*section["at"], name) for name in model["properties"]]
    return found


_SECTIONS = """
- {is: ModelSection, at: [model]}
- {is: WorkloadSection, at: [workload]}
- {is: GpuSection, at: [pool, 0]}
- {is: OverrideSection, at: [network, overrides, 0]}
- {is: NetworkSection, at: [network]}
- {is: LimitsSection, at: [limits]}
- {is: GpuFiguresSection, at: [performance, gpus, A100]}
- {is: SolverSection, at: [solver]}
- {is: BaselineSection, at: [baseline]}
- {is: SweepSection, at: [sweep]}
- {is: NormalizationSection, at: [sweep, normalization]}
"""
FIELDS = _schema_paths()
HF: dict[str, Any] = {
    "_name_or_path": "m",
    "model_type": "llama",
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "torch_dtype": "bfloat16",
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"],
    "sliding_window_pattern": 2,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
    "kv_lora_rank": 16,
    "q_lora_rank": 8,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
    "head_dim": 16,
    "tie_word_embeddings": True,
}
HF_FIELDS = [(name,) for name in (*HF, "dtype", "text_config", "n_inner", "use_sliding_window")]
SPECIALS = st.sampled_from(
    [
        Special("fifo"),
        Special("folder"),
        Special("link", "/dev/zero"),
        Special("link", "/etc/hostname"),
        Special("link", "absent"),
        Special("link", "c.yaml"),
        Special("link", "/proc/self/environ"),
        Special("link", ".."),
    ]
)


def _yaml(data: Any) -> bytes:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True).encode("utf-8", "replace")


@st.composite
def hf_files(draw: st.DrawFn) -> Content:
    """A Hugging Face `config.json`, seldom something else in its place."""
    if draw(st.integers(0, 30)) == 0:
        return draw(SPECIALS)
    kept = {k: v for k, v in HF.items() if draw(st.integers(0, 5)) or k in list(HF)[:8]}
    data = draw(changed(kept, HF_FIELDS))
    text = json.dumps(data, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    return draw(damaged(text, 1)) if draw(st.booleans()) else text


@st.composite
def matrices(draw: st.DrawFn) -> Content:
    """A bandwidth matrix as CSV, seldom something else in its place."""
    if draw(st.integers(0, 30)) == 0:
        return draw(SPECIALS)
    size = draw(st.sampled_from([2, 2, 2, 1, 3, 64, 300]))
    cell = draw(st.sampled_from(["100", "0", "1e308", "1e-300", "inf", "", "-1", "x", "9" * 400]))
    rows = [",".join(["", *(f"g{i}" for i in range(size))])]
    rows += [
        ",".join([f"g{i}", *[cell if (i * j) % 3 == 1 else "50"] * size])
        for i, j in ((i, i + 1) for i in range(size))
    ]
    return draw(damaged("\n".join(rows).encode() + b"\n"))


@st.composite
def config_files(draw: st.DrawFn, target: str = "config_file") -> Case:
    """A config of ours, changed in its values, its text, or the files that it names."""
    files: dict[str, Content] = {}
    if draw(st.integers(0, 3)):
        data = draw(changed(draw(st.sampled_from(SOUND)), FIELDS))
        content = _yaml(data)
        if draw(st.integers(0, 5)) == 0:
            content = draw(damaged(content))
    else:
        content = draw(damaged(draw(st.sampled_from(list(TEXTS.values()))), 3))
    files["c.yaml"] = content if draw(st.integers(0, 100)) else draw(SPECIALS)
    if b"m.csv" in content:
        files["m.csv"] = draw(matrices())
    if b"config.json" in content:
        files["config.json"] = draw(hf_files())
    given = draw(st.lists(assignment_texts(), max_size=1))
    return Case(target, files, tuple(given))


@st.composite
def sound_configs(draw: st.DrawFn) -> Case:
    """A config that is likely to load, its numbers pushed to their ends; for solving."""
    data = draw(st.sampled_from(SOUND[-7:]))
    data = (
        draw(changed(data, FIELDS, most=2)) if draw(st.booleans()) else json.loads(json.dumps(data))
    )
    numbers = [
        ("pool", 0, "memory_gb"),
        ("pool", 0, "usd_per_hour"),
        ("pool", 1, "count"),
        ("network", "gb_per_s"),
        ("model", "num_hidden_layers"),
        ("model", "hidden_size"),
        ("model", "layer_weight_gb"),
        ("workload", "batch_size"),
        ("workload", "sequence_length"),
        ("limits", "min_memory_utilization"),
        ("sweep", "normalization", "cost_usd_per_hour"),
        ("sweep", "budgets_usd_per_hour"),
        ("sweep", "target_usd_per_million_tokens"),
        ("performance", "gpus", "Fast", "tflops"),
        ("performance", "gpus", "Fast", "efficiency"),
        ("performance", "gpus", "Slow", "gb_per_s"),
    ]
    for path in draw(st.lists(st.sampled_from(numbers), max_size=3)):
        number = draw(small_numbers | st.floats(1e-12, 1e12) | st.integers(1, 64))
        _put(data, path, [number] if path[-1] == "budgets_usd_per_hour" else number)
    files: dict[str, Content] = {"c.yaml": _yaml(data), "m.csv": MATRIX}
    return Case("solved", {**files, "config.json": json.dumps(dict(list(HF.items())[:9])).encode()})


def _put(data: Any, path: Sequence[str | int], value: Any) -> None:
    for part in path[:-1]:
        try:
            data = data[part]
        except (LookupError, TypeError):
            return
    if isinstance(data, dict):
        data[path[-1]] = value


@st.composite
def csv_directories(draw: st.DrawFn) -> Case:
    """The published directory with values, rows, columns and files that do not belong."""
    files: dict[str, Content] = dict(PUBLISHED)
    for name in draw(st.lists(st.sampled_from(sorted(files)), min_size=1, max_size=2)):
        content = files.get(name)
        if not isinstance(content, bytes):
            continue
        way = draw(st.sampled_from(["cell", "cell", "cell", "text", "text", "special", "absent"]))
        if way == "cell":
            files[name] = draw(_cells_changed(content))
        elif way == "text":
            files[name] = draw(damaged(content, 3))
        elif draw(st.integers(0, 3)):
            continue
        elif way == "special":
            files[name] = draw(SPECIALS)
        else:
            del files[name]
    return Case("csv_directory", files)


@st.composite
def _cells_changed(draw: st.DrawFn, content: bytes) -> bytes:
    rows = [line.split(",") for line in content.decode("utf-8", "replace").splitlines()]
    if not rows:
        return content
    for _ in range(draw(st.integers(1, 4))):
        row = rows[draw(st.integers(0, len(rows) - 1))]
        at = draw(st.integers(0, max(len(row) - 1, 0)))
        way = draw(st.sampled_from(["value", "value", "value", "drop", "add", "row", "twice"]))
        if way == "value" and row:
            row[at] = draw(scalars.map(str))
        elif way == "drop" and row:
            del row[at]
        elif way == "add":
            row.append(draw(st.sampled_from(["", "1", '"', "x"])))
        elif way == "row":
            rows.append(draw(st.lists(scalars.map(str), max_size=4)))
        else:
            rows.append(list(row))
    return "\n".join(",".join(row) for row in rows).encode("utf-8", "replace")


KEYS = (
    *("workload.batch_size", "pool.A100.count", "pool[0].usd_per_hour", "pool.0", "pool", "name"),
    *("network.rows", "network.matrix", "hf_config", "model.catalogue", "sweep.over", "solver"),
    *("sweep.granularities", "sweep.budgets_usd_per_hour", "limits.tp_degrees", "", ".", "[", "a"),
    *("pool." + "9" * 5000, "pool.²", "pool.-1", "a" + ".a" * 3000, "pool[" * 500, "model.name.x"),
    *("performance.gpus.X.tflops", "sweep.over.pool.A100.count", "network.overrides", "\x1b[0m"),
    *("baseline", "sweep.methods", "pool.A100", "workload", "limits.exclude", "x" * 5000),
)


def assignment_texts() -> st.SearchStrategy[str]:
    """`--set` texts: keys and values that may or may not be."""
    paths = [".".join(map(str, path)) for path in FIELDS]
    value = (
        scalars.map(str)
        | values.map(json.dumps)
        | st.sampled_from(SNIPPETS).map(lambda b: b.decode("utf-8", "replace"))
    )
    key = st.sampled_from(KEYS) | st.sampled_from(paths) | st.text(max_size=6)
    pair = st.tuples(key, value).map("=".join)
    return pair | pair | pair | st.text(max_size=10)


def assignment_cases() -> st.SearchStrategy[Case]:
    """Several `--set` texts at once."""
    texts = st.lists(assignment_texts(), min_size=1, max_size=3)
    return texts.map(lambda given: Case("assignments", {}, tuple(given)))


def text_cases() -> st.SearchStrategy[Case]:
    """Granularities and ids."""
    number = st.sampled_from(["1", "0", "39", "40", "-1", "9" * 5000, "²", "1.5", "", " 3 ", "٣"])
    joined = st.lists(number, max_size=5).map("+".join) | st.lists(number, max_size=5).map("-".join)
    text = joined | st.lists(joined, max_size=9).map(",".join) | scalars.map(str)
    longer = text | text.map(lambda t: t * 1000)
    return st.lists(longer, min_size=1, max_size=3).map(lambda t: Case("small_texts", {}, tuple(t)))


ENDS = ("1", "2", "1e9", "1e-9", "0.5", "1024", "1000000000", "1e12", "0", "decode", "T4", "fp8")


@st.composite
def measurement_cases(draw: st.DrawFn, target: str = "measurement_file") -> Case:
    """Measurement tables with cells, columns and rows that do not belong."""
    rows: list[dict[str, str]] = []
    template = draw(st.sampled_from([ROW, ROW, ROW, BLOCK_ROW]))
    for number in range(draw(st.integers(1, 4))):
        row = dict(template, source=f"lab{number % 2}")
        for name in draw(st.lists(st.sampled_from(sorted(row)), max_size=1)):
            row[name] = draw(st.sampled_from(ENDS) if draw(st.integers(0, 2)) else scalars.map(str))
        rows.append(row)
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    content = "\n".join(lines).encode("utf-8", "replace") + b"\n"
    if draw(st.integers(0, 3)) == 0:
        content = draw(_cells_changed(draw(st.just(content)))) if b"\n" in content else content
    if draw(st.integers(0, 3)) == 0:
        content = draw(damaged(content))
    return Case(target, {"m.csv": content if draw(st.integers(0, 40)) else draw(SPECIALS)})


CONSTANTS: dict[str, Any] = {
    "format": "roofline-constants/1",
    "provenance": "test",
    "prediction_spread": {"known": [0.9, 1.1], "unknown": [0.5, 2.0]},
    "undetermined": ["overlap"],
    "effects": [
        {
            "constant": "overlap",
            "level": "all",
            "member": "all",
            "mean": 0.1,
            "deviation": 0.2,
            "determined": 0.5,
        }
    ],
}


@st.composite
def constant_cases(draw: st.DrawFn) -> Case:
    """Files of fitted constants."""
    content = _yaml(draw(changed(CONSTANTS)))
    content = draw(damaged(content, 3)) if draw(st.booleans()) else content
    return Case(
        "constants_file", {"k.yaml": content if draw(st.integers(0, 30)) else draw(SPECIALS)}
    )


@st.composite
def yaml_cases(draw: st.DrawFn) -> Case:
    """YAML texts put together from pieces, and configs with pieces in them."""
    if draw(st.booleans()):
        pieces = draw(st.lists(st.sampled_from(SNIPPETS) | st.binary(max_size=8), max_size=8))
        content = draw(st.sampled_from([b"", b" ", b"\n", b": "])).join(pieces)
    else:
        content = draw(damaged(draw(st.sampled_from(list(TEXTS.values()))), 4))
    return Case("yaml_text", {"c.yaml": content})


COMMANDS: Mapping[str, Sequence[Sequence[str]]] = {
    "solve": (
        *(("--granularity", "exact"), ("--budget", "0.5"), ("--cost-weight", "0.5"), ("--brief",)),
        *(
            ("--formulation", "pairwise"),
            ("--json",),
            ("--budget", "nan"),
            ("--cost-weight", "nan"),
        ),
    ),
    "frontier": (("--json",), ("--granularity", "1+3")),
    "space": (("--json",), ("--granularity", "exact,coarse")),
    "sweep": (("--plan", "--json"), ("--plan", "--budget", "1,2")),
    "compare": (("--json",), ("--tolerance", "nan"), ("--tolerance", "1e308"), ("{}/run",)),
    "verify": (("--json",),),
    "status": (("--json",),),
    "report": (
        ("--no-plots", "--out", "{}/out/page.html"),
        ("--no-plots", "--out", "{}/out/file/x"),
    ),
    "export": (("--to", "kubernetes"), ("--point", ""), ("--out", "{}/out/x"), ("--model", "$(x)")),
    "calibrate": (
        ("--out", "{}/out/k.yaml"),
        ("--out", "{}/out/absent/k.yaml"),
        ("--out", "{}/out/file/x"),
    ),
}
ON_CONFIGS = ("solve", "frontier", "space", "sweep")


@st.composite
def command_cases(draw: st.DrawFn) -> Case:
    """Whole commands on changed configs, runs and measurements."""
    command = draw(st.sampled_from(sorted(COMMANDS)))
    flags = [
        flag
        for group in draw(st.lists(st.sampled_from(COMMANDS[command]), max_size=2))
        for flag in group
    ]
    # Where a command is to write is not left to chance.
    others = [at for at, flag in enumerate(flags) if not flag.startswith("{}/") and flag != "--out"]
    if others and draw(st.integers(0, 2)) == 0:
        flags[draw(st.sampled_from(others))] = draw(scalars.map(str))
    files: dict[str, Content] = {"out/file": b"x", "c.yaml": _yaml(SMALL)}
    if command in ON_CONFIGS:
        given = "{}/c.yaml"
        files |= draw(sound_configs()).files
        flags = [*flags, "--set", "solver.time_limit_s=0.5", "--set", "solver.threads=1"]
        if command == "sweep" and "--plan" not in flags:
            flags.append("--plan")
    elif command == "calibrate":
        given = "{}/m.csv"
        files |= draw(measurement_cases()).files
        if "--out" not in flags:
            flags += ["--out", "{}/out/k.yaml"]
    else:
        given = draw(
            st.sampled_from(["{}/run"] * 5 + ["{}", "{}/c.yaml", "", "/proc", "/dev/null"])
        )
        files |= draw(damaged_runs("results_folder")).files
        if command == "report" and "--out" not in flags:
            flags += ["--no-plots", "--out", "{}/out/page.html"]
    flags = [flag.replace("\0", "?").encode("utf-8", "replace").decode() for flag in flags]
    return Case("command_line", files, (command, given, *flags))


def inputs(target: str) -> st.SearchStrategy[Case]:
    """Return the strategy of a target."""
    runs = ("results_folder", "report_page", "resumed")
    if target in runs:
        return damaged_runs(target)
    made: Mapping[str, st.SearchStrategy[Case]] = {
        "yaml_text": yaml_cases(),
        "config_file": config_files(),
        "csv_directory": csv_directories(),
        "assignments": assignment_cases(),
        "small_texts": text_cases(),
        "solved": sound_configs(),
        "measurement_file": measurement_cases(),
        "calibration": measurement_cases("calibration"),
        "constants_file": constant_cases(),
        "command_line": command_cases(),
    }
    return made[target]
