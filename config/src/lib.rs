//! The configuration model, its TOML and FRR spellings, validation and diff.
