//! Bytes in an editor.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Opens bytes in an editor, and returns them as they were left. The file, which may hold personal data, is
/// this user's alone, and removed afterwards.
pub(super) fn edit(editor: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let name = format!("segment-pushwoosh-{}.json", std::process::id());
    let file = std::env::temp_dir().join(name);
    let edited = write(&file, bytes).and_then(|()| run(editor, &file));
    let edited = edited.and_then(|()| fs::read(&file).context("the edited file cannot be read"));
    fs::remove_file(&file).ok();
    edited
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let mut opened = opened.with_context(|| format!("{} cannot be written", file.display()))?;
    opened.write_all(bytes)?;
    Ok(())
}

/// The editor may be a command with flags.
fn run(editor: &str, file: &Path) -> Result<()> {
    let mut command = Command::new("sh");
    let command = command.arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(file);
    let status = command.status().context("there is no shell to start the editor with")?;
    ensure!(status.success(), "the editor {editor} ended with an error: nothing was sent");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_the_editor_leaves_them_and_no_file_stays() {
        assert_eq!(edit("sed -i s/a/b/", b"cat").unwrap(), b"cbt");
        assert!(edit("false", b"cat").unwrap_err().to_string().contains("nothing was sent"));
        let left = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
        let name = format!("segment-pushwoosh-{}.json", std::process::id());
        assert!(!left.into_iter().any(|entry| entry.file_name() == name.as_str()));
    }
}
