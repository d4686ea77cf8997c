"""The config file as typed sections: what each field means, its unit, its default, its bounds.

Structure only; what one value may be is in `fields`, what they must say together in `checks`. The
text under each field is its documentation: the config reference is generated from it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from pipeline.catalogue import MOST_MEMORY_GB, ComputeType
from pipeline.config.fields import (
    LARGEST,
    MAX_ASKED,
    MAX_LAYERS,
    MAX_LISTED,
    SMALLEST,
    Bandwidth,
    Budgets,
    Choice,
    Count,
    Degree,
    GpuIds,
    GranularityName,
    Method,
    NotNegative,
    NotNegativeCount,
    Positive,
    Price,
    Share,
)
from pipeline.config.ids import check_number_of_ids
from pipeline.errors import shown
from pipeline.roofline.constant_files import FittedConstants
from pipeline.texts import check_name

MAX_GPU_TYPES = 100
MAX_OVERRIDES = 10_000
MAX_GRANULARITIES = 100
SECONDS_PER_YEAR = 31_536_000
# Fields beside those below, by section: they name what stands in their place once it is read.
NAMING = {"": ("hf_config",), "model": ("hf_config", "catalogue")}


class Section(BaseModel):
    """Base of every section: unknown keys, wrong types, NaN and infinity are errors.

    So are numbers that are far from anything real, and names that no table could show.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )

    @field_validator("*", mode="after")
    @classmethod
    def _is_sane(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, float) and value and not SMALLEST <= abs(value) <= LARGEST:
            raise ValueError(f"must be between {SMALLEST:g} and {LARGEST:g}, or 0")
        if isinstance(value, str):
            check_name(value)
        # A granularity may be as long as it has sizes; `granularity_name` bounds it.
        several = isinstance(value, dict | list) and info.field_name != "granularities"
        for text in value if several else ():
            if isinstance(text, str):
                check_name(text, f", not {shown(text)}")
        return value


class ModelSection(Section):
    """The decoder, with the names of Hugging Face's `config.json`."""

    name: str
    """What to call the model in tables."""
    num_hidden_layers: Annotated[int, Field(ge=1, le=MAX_LAYERS)]
    """Decoder layers L."""
    hidden_size: Count
    """Hidden size D."""
    intermediate_size: Count
    """Hidden size of the feed-forward part."""
    num_attention_heads: Count
    """Query heads."""
    num_key_value_heads: Count | None = None
    """Key/value heads; absent: as many as query heads."""
    vocab_size: Count
    """Tokens of the vocabulary."""
    head_dim: Count | None = None
    """Size of a head; absent: hidden_size / num_attention_heads."""
    bytes_per_weight: Annotated[float, Field(gt=0, le=8)] = 2
    """Bytes of a weight and of an activation element: 2 for fp16 and bf16."""
    layer_weight_gb: Positive | None = None
    """Weights of one layer, GB; absent: derived from the shape. `flops` only."""
    gated_ffn: bool = True
    """Whether the feed-forward part has three matrices (gate, up, down) or two."""
    num_experts: NotNegativeCount = 0
    """Routed experts of a layer, with which the next four fields go; 0: a dense model."""
    experts_per_token: NotNegativeCount = 0
    """Routed experts that one token takes."""
    shared_experts: NotNegativeCount = 0
    """Experts that every token takes."""
    moe_intermediate_size: NotNegativeCount = 0
    """Hidden size of one expert."""
    first_dense_layers: NotNegativeCount = 0
    """Layers at the start that have no experts."""
    kv_lora_rank: NotNegativeCount = 0
    """Rank of the latent KV cache (MLA); 0: ordinary attention."""
    q_lora_rank: NotNegativeCount = 0
    """Rank of the queries (MLA)."""
    qk_nope_head_dim: NotNegativeCount = 0
    """Size of a head's part without position (MLA)."""
    qk_rope_head_dim: NotNegativeCount = 0
    """Size of a head's part with position (MLA)."""
    v_head_dim: NotNegativeCount = 0
    """Size of a head's values (MLA)."""
    sliding_window: NotNegativeCount = 0
    """Tokens that windowed layers look back; goes with `sliding_window_share`."""
    sliding_window_share: Share = 0.0
    """Share of the layers that are windowed; goes with `sliding_window`."""
    tie_word_embeddings: bool = False
    """Whether embedding and LM head share their weights."""


class WorkloadSection(Section):
    """What the model serves.

    `sequence_length` and `batch_size` are for the `flops` model, the others for `roofline`.
    """

    sequence_length: Count | None = None
    """Tokens of one request."""
    batch_size: Count | None = None
    """Requests processed together."""
    phase: Literal["prefill", "decode", "mixed"] | None = None
    """`prefill`: prompts only; `decode`: output tokens only; `mixed`: whole requests."""
    input_tokens: Count | None = None
    """Tokens of a prompt."""
    output_tokens: NotNegativeCount | None = None
    """Tokens that a request generates; absent in phase `prefill`: none."""
    concurrency: Choice = "auto"
    """Requests at once: a number, a list to choose from, or auto: the best that fits."""
    micro_batches: Choice = "auto"
    """Micro-batches in flight: a number, a list to choose from, or auto: 1 to `max_stages`."""
    compute_type: ComputeType = "fp16"
    """Type in which matrices are multiplied; weights take `model.bytes_per_weight`."""
    kv_bytes: Annotated[float, Field(gt=0, le=4)] = 2.0
    """Bytes of an element of the KV cache."""
    memory_fraction: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of a GPU's memory that the engine may use."""
    engine: str = "vllm"
    """Inference engine, as in the catalogue, or with its version as measurements name it."""


class GpuSection(Section):
    """GPUs of one type."""

    gpu: Annotated[str, Field(min_length=1)]
    """Type, as in the performance model's catalogue."""
    count: Count
    """How many there are; ids are numbered in pool order."""
    memory_gb: Positive | None = None
    """Memory of one GPU, GB; absent: that of `performance.hardware`, else of the catalogue."""
    usd_per_hour: Price
    """Price of one GPU, $/h."""
    max_tp: Degree | None = None
    """Largest TP degree on this type; absent: the largest of `limits.tp_degrees`."""
    gpus_per_node: Degree | None = None
    """GPUs of one host, a power of two; ids fill one host after the other and no TP group leaves
    its host; absent: hosts are not told apart. `roofline` only."""
    link_gb_per_s: Positive | None = None
    """Bandwidth between GPUs of one host, one direction, GB/s; absent: the catalogue's.
    `roofline` only."""


class OverrideSection(Section):
    """Links that differ from the rest of the network."""

    gpus: GpuIds
    """GPU ids: `25-34`, `0-7,16-23`, a number or a list; ranges include both ends."""
    to: GpuIds | None = None
    """The other side; absent: the links inside `gpus`, which then are at least two."""
    gb_per_s: NotNegative
    """Bandwidth of these links, GB/s; 0: there is none."""


class NetworkSection(Section):
    """Bandwidth between GPUs: one number with exceptions, or a whole matrix."""

    gb_per_s: NotNegative | None = None
    """Bandwidth between any two GPUs, GB/s; between hosts where types have `gpus_per_node`."""
    overrides: Annotated[list[OverrideSection], BeforeValidator(check_number_of_ids)] = Field(
        default_factory=list, max_length=MAX_OVERRIDES
    )
    """Exceptions to `gb_per_s`; where two apply, the later one holds."""
    matrix: str | None = None
    """CSV file, GB/s, relative to the config; header row and index column in id order or empty."""
    rows: list[list[Bandwidth]] | None = None
    """The matrix itself, row = from, column = to, GB/s."""
    drop_below_percentile: Annotated[float, Field(ge=0, le=100)] = 0
    """Drop the connections below this percentile of bandwidth, as the published system did."""


class LimitsSection(Section):
    """What a placement must respect, beside memory and budget."""

    max_stages: Count = 8
    """Most pipeline stages."""
    min_layers_per_stage: Count = 1
    """Fewest layers of a segment."""
    min_memory_utilization: Share = 0.0
    """Share of a GPU's memory that a segment must fill, where its size allows it."""
    tp_degrees: Annotated[list[Degree], Field(min_length=1)] = Field(
        default_factory=lambda: [1, 2, 4, 8]
    )
    """TP degrees to choose from; powers of two. `roofline` leaves out those that do not split the
    model's heads."""
    exclude: list[str] = Field(default_factory=list)
    """GPU types that may not be used."""
    uniform_tp: bool = False
    """One TP degree for all stages, as serving engines ask for."""
    single_gpu_type: bool = False
    """One GPU type for all stages."""
    equal_sizes: bool = False
    """Segments that differ by at most one layer."""
    max_ttft_s: Positive | None = None
    """Longest time to the first token, s, where all prompts of a micro-batch come at once.
    `roofline` only."""
    max_tpot_s: Positive | None = None
    """Longest time per output token after the first, s. `roofline` only."""


class GpuFiguresSection(Section):
    """What the `flops` model needs to know of a GPU."""

    tflops: Positive
    """Peak arithmetic, TFLOP/s."""
    gb_per_s: Positive
    """Memory bandwidth, GB/s."""
    efficiency: Annotated[float, Field(gt=0, le=1)]
    """Share of the peak that is reached."""


class LinkSection(Section):
    """Link between GPUs of one host."""

    kind: Literal["nvlink", "pcie"]
    """`nvlink`: through a switch that every pair has to itself; `pcie`: a bus that all share."""
    gb_per_s: Positive
    """Bandwidth in one direction, GB/s."""
    latency_us: Positive = 10.0
    """Time of one message, µs."""


class HardwareSection(Section):
    """What the `roofline` model needs to know of a GPU; its datasheet has it."""

    architecture: Annotated[str, Field(min_length=1)]
    """As `placement gpus --json` names it, so that constants fitted on its relatives hold; one that
    no fit has seen runs on what all GPUs have in common."""
    tflops: dict[ComputeType, Positive]
    """Dense peak by compute type, TFLOP/s; `fp16` must be among them, absent types run in it."""
    memory_gb: Positive
    """Nominal memory, GB."""
    reported_mib: Positive | None = None
    """Memory as its driver reports it, MiB; absent: `memory_gb` as 10⁹ bytes each."""
    gb_per_s: Positive
    """Memory bandwidth, GB/s."""
    link: LinkSection
    """Link between GPUs of one host."""

    @field_validator("memory_gb")
    @classmethod
    def _is_in_gb(cls, memory: float) -> float:
        if memory > MOST_MEMORY_GB:
            raise ValueError(f"must be in GB, at most {MOST_MEMORY_GB}; is this MiB?")
        return memory

    @field_validator("tflops")
    @classmethod
    def _has_fp16(cls, peaks: dict[str, float]) -> dict[str, float]:
        if "fp16" not in peaks:
            raise ValueError("must hold fp16")
        return peaks


class PerformanceSection(Section):
    """Which performance model to believe."""

    model: Literal["flops", "roofline"] = "flops"
    """`flops`: the published formula; `roofline`: scored on measurements, for decisions."""
    gpus: dict[str, GpuFiguresSection] = Field(default_factory=dict, max_length=MAX_LISTED)
    """Figures of GPUs that the `flops` model lacks, or that should replace its own."""
    hardware: dict[str, HardwareSection] = Field(default_factory=dict)
    """GPUs that the catalogue of the `roofline` model lacks, or that should replace its own; or the
    name of a YAML file of them, relative to the config."""
    constants: FittedConstants | None = None
    """File of `placement calibrate` with the constants to believe, relative to the config; absent:
    those that come with the package. `roofline` only. `run.json` holds its content."""


class SolverSection(Section):
    """How long and how closely to solve."""

    time_limit_s: Annotated[float, Field(ge=0, le=SECONDS_PER_YEAR)] = 300.0
    """Time for one point, s; at the limit the best answer so far and its bound are kept."""
    mip_gap: Share = 0.0
    """Relative gap at which an answer is good enough; 0 asks for a proof."""
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads of the solver."""
    formulation: Literal["compact", "pairwise"] = "compact"
    """`compact`, or the published `pairwise` for small cases and as a yardstick."""


class BaselineSection(Section):
    """What to compare with: the whole model as a single segment on one TP group."""

    gpu: str
    """Type of the group; must be in the pool."""
    tp: Degree | None = None
    """TP degree; absent: of those that fit, the one of the lowest $/token."""


class NormalizationSection(Section):
    """Scales of the weighted method."""

    throughput_tokens_per_s: Positive = 10000.0
    """Throughput that counts as 1."""
    cost_usd_per_hour: Positive = 1.0
    """Cost that counts as 1."""


class SweepSection(Section):
    """What a sweep crosses."""

    granularities: Annotated[
        list[GranularityName], Field(min_length=1, max_length=MAX_GRANULARITIES)
    ] = Field(default_factory=lambda: ["coarsest", "coarse", "moderate", "fine", "exact"])
    """Presets (coarsest, coarse, moderate, fine, exact) or lists of segment sizes."""
    budgets_usd_per_hour: Budgets = "wide"
    """A preset (fine, coarse, wide, around_fine, around_coarse) or a list, $/h."""
    methods: Annotated[list[Method], Field(min_length=1)] = Field(
        default_factory=lambda: list[Method](("enumeration", "ratio"))
    )
    """How to search: enumeration (highest throughput at each budget), weighted (throughput
    against cost), iterative (the published ballpark search), ratio (lowest $/token), frontier
    (every Pareto point)."""
    cost_weights: Annotated[list[Share], Field(min_length=1, max_length=MAX_ASKED)] = Field(
        default_factory=lambda: [0.5]
    )
    """Cost weights w of the weighted method."""
    normalization: NormalizationSection = NormalizationSection()
    """Scales of the weighted method."""
    target_usd_per_million_tokens: Positive | None = None
    """A price to beat; every row says whether it was met."""
    over: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(default_factory=dict)
    """Fields of the instance with the values to cross, as `workload.batch_size: [16, 32]`; a
    field and another that replaces it (`workload` and `workload.batch_size`) are refused."""


class Config(Section):
    """One instance and the sweep over it."""

    name: Annotated[str, Field(min_length=1)]
    """Name of the instance in tables."""
    model: ModelSection
    workload: WorkloadSection
    pool: Annotated[list[GpuSection], Field(min_length=1, max_length=MAX_GPU_TYPES)]
    network: NetworkSection
    limits: LimitsSection = LimitsSection()
    performance: PerformanceSection = PerformanceSection()
    solver: SolverSection = SolverSection()
    baseline: BaselineSection | None = None
    sweep: SweepSection = SweepSection()
