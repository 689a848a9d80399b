//! The command line without any server: pipes that close, full disks, empty variables, exit codes.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder with a configuration whose passwords are not to be had.
fn folder(extra: &str) -> TempDir {
    let dir = tempfile::Builder::new().prefix("weir-it-").tempdir().expect("temp dir");
    let text = format!(
        "name = \"x\"\nstate_dir = \"{}\"\n\
         [database.a]\nurl = \"postgres://u@127.0.0.1:1/db\"\npassword = {{ env = \"NO_SUCH_A\" }}\n\
         [database.b]\nurl = \"mysql://u@127.0.0.1:2/db\"\npassword = {{ env = \"NO_SUCH_B\" }}\n\
         [[replicate]]\nfrom = \"a\"\nto = \"b\"\ntables = [\"s.*\"]\n{extra}",
        dir.path().join("state").display()
    );
    std::fs::write(dir.path().join("weir.toml"), text).expect("weir.toml");
    dir
}

fn weir(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).current_dir(dir).stdin(Stdio::null());
    command
}

#[track_caller]
fn expect(output: &Output, code: i32, phrase: &str) {
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(phrase) && !said.contains("panicked"), "no {phrase:?} in\n{said}");
}

fn closed_pipe() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().expect("pipe");
    drop(reader);
    writer
}

/// Broken if `weir status | head -1` ended in a panic, or a listing that a full disk cut off passed
/// for whole.
#[test]
fn nobody_reads_to_the_end() {
    let dir = folder("");
    let output = weir(dir.path(), &["status"]).stdout(closed_pipe()).output().expect("starts");
    expect(&output, 0, "");
    let output = weir(dir.path(), &["check"]).stderr(closed_pipe()).output().expect("starts");
    expect(&output, 2, "2 errors");
    if let Ok(full) = std::fs::File::options().write(true).open("/dev/full") {
        let output = weir(dir.path(), &["status"]).stdout(full).output().expect("starts");
        expect(&output, 1, "standard output");
    }
}

/// Broken if a variable that is set to nothing, as in `WEIR_CONFIG= weir run`, were a usage error.
#[test]
fn empty_variables_are_unset() {
    let dir = folder("");
    let mut status = weir(dir.path(), &["status"]);
    for variable in ["WEIR_CONFIG", "WEIR_LOG_FORMAT", "WEIR_LOG", "DEMO_SECONDS"] {
        status.env(variable, "");
    }
    expect(&status.output().expect("starts"), 0, "a:b");
    let wrong = weir(dir.path(), &["status"]).env("WEIR_LOG_FORMAT", "xml").output();
    expect(&wrong.expect("starts"), 2, "xml");
}

/// Broken if one mistake in the configuration had another exit code with each verb: systemd is told
/// by it not to try again.
#[test]
fn one_cause_one_exit_code() {
    let dir = folder("");
    for verb in ["check", "explain", "ddl", "setup", "run"] {
        let output = weir(dir.path(), &[verb]).output().expect("starts");
        expect(&output, 2, "`NO_SUCH_A` is not set");
    }
}

/// Broken if a shell refused the completions, or a verb had no line and no page in the manual.
#[test]
fn shells_and_man_know_every_verb() {
    let dir = tempfile::Builder::new().prefix("weir-it-").tempdir().expect("temp dir");
    let run = |arguments: &[&str]| {
        let output = weir(dir.path(), arguments).output().expect("starts");
        expect(&output, 0, "");
        String::from_utf8(output.stdout).expect("text")
    };
    let help = run(&["--help"]);
    let verbs = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    // Descriptions go on in further lines, which stand further in.
    let verbs =
        verbs.take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    let verbs = verbs.filter(|line| !line.starts_with(' '));
    let verbs: Vec<&str> = verbs.filter_map(|line| line.split(' ').next()).collect();
    assert!(verbs.contains(&"init") && verbs.contains(&"run"), "{verbs:?}");
    let script = dir.path().join("weir.bash");
    for shell in ["bash", "zsh", "fish"] {
        let text = run(&["completions", shell]);
        assert!(verbs.iter().all(|verb| text.contains(verb)), "{shell}");
        std::fs::write(&script, text).expect("script");
        if shell == "bash" {
            let bash = Command::new("bash").arg("-n").arg(&script).output().expect("bash");
            expect(&bash, 0, "");
        }
    }
    let page = run(&["man"]);
    run(&["man", "--dir", "."]);
    for verb in verbs.iter().filter(|verb| **verb != "help") {
        let name = verb.replace('-', "\\-");
        assert!(page.contains(&format!("weir\\-{name}(1)")), "{verb}: {page}");
        let own = dir.path().join(format!("weir-{verb}.1"));
        assert!(std::fs::read_to_string(own).expect("page").contains("weir"), "{verb}");
    }
    for part in ["dead-letters-retry", "checkpoint-export"] {
        assert!(dir.path().join(format!("weir-{part}.1")).exists(), "{part} has no page");
    }
}

/// Broken if `weir init` replaced a file unasked, took a password on the command line, or left half a
/// file behind where a database is not to be had.
#[test]
fn init_writes_whole_or_not_at_all() {
    let dir = folder("");
    let file = dir.path().join("weir.toml");
    let before = std::fs::read_to_string(&file).expect("weir.toml");
    let init = |more: &[&str]| {
        let to = ["init", "--to", "postgres://u@127.0.0.1:1/dwh"];
        weir(dir.path(), &[&to[..], more].concat()).output().expect("starts")
    };
    let from = ["--from", "mysql://u@127.0.0.1:1/shop"];
    expect(&init(&from), 2, "exists already");
    assert_eq!(std::fs::read_to_string(&file).expect("weir.toml"), before);
    let secret = init(&["--from", "mysql://u:hush@127.0.0.1:1/shop", "-o", "new.toml"]);
    expect(&secret, 2, "the url holds a password");
    assert!(!String::from_utf8_lossy(&secret.stderr).contains("hush"));
    let unset = [&from[..], &["--from-password-env", "NO_SUCH_A", "-o", "new.toml"]].concat();
    expect(&init(&unset), 2, "`NO_SUCH_A` is not set");
    let refused = init(&[&from[..], &["-o", "new.toml"]].concat());
    expect(&refused, 1, "make sure that the server is up and reachable");
    assert!(!dir.path().join("new.toml").exists());
}

/// Broken if every reason not to get a port were called another process.
#[test]
fn an_address_that_is_not_ours_is_named() {
    let dir = folder("[http]\nlisten = \"192.0.2.1:7171\"\n");
    let output = weir(dir.path(), &["run"]).output().expect("starts");
    expect(&output, 1, "does not have that address");
}
