"""From a YAML file or a published CSV directory to a checked config and its instances."""

from pipeline.config.load import LoadedConfig, load_config, parse_assignments
from pipeline.config.schema import Config

__all__ = ["Config", "LoadedConfig", "load_config", "parse_assignments"]
