//! Each file in `tests/configs/broken` is refused with exactly the errors in
//! the `.err` file beside it. `HOLDFAST_BLESS=1` writes those files anew.

use std::path::{Path, PathBuf};

use holdfast_config::{Leniency, Spelling, parse_str};

fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/configs/broken");
    let entries = std::fs::read_dir(&folder).unwrap();
    let mut samples: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| Spelling::of_extension(path).is_some())
        .collect();
    samples.sort();
    samples
}

/// The errors as the daemon prints them. The name is that of the file alone,
/// so that it does not matter where the repository is.
fn errors_of(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let spelling = Spelling::of_extension(path).unwrap();
    match parse_str(name, &text, spelling, Leniency::Strict) {
        Ok(loaded) => panic!("{name} was accepted: {loaded:#?}"),
        Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
    }
}

#[test]
fn broken_files_are_refused_with_these_words() {
    let samples = samples();
    assert!(samples.len() >= 20, "only {} samples", samples.len());
    let bless = std::env::var_os("HOLDFAST_BLESS").is_some();
    let mut wrong = Vec::new();
    for path in samples {
        let mut expected_path = path.clone().into_os_string();
        expected_path.push(".err");
        let errors = errors_of(&path);
        if bless {
            std::fs::write(&expected_path, &errors).unwrap();
        }
        let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
        if errors != expected {
            wrong.push(format!(
                "{}\nexpected:\n{expected}got:\n{errors}",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
