use std::path::PathBuf;

use super::*;

/// A shell that does that.
fn shell(script: &str) -> Program {
    let exec =
        json!({"command": "sh", "args": ["-c", script], "apiVersion": "v1", "interactiveMode": "Never"});
    let mut auth = AuthInfo { exec: serde_json::from_value(exec).unwrap(), ..AuthInfo::default() };
    Program::take(&mut auth).unwrap()
}

fn file(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("git-deploy-credentials-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory.join(name)
}

/// Credentials that expire in so many seconds, with the number of times that they were asked for.
fn counted(name: &str, seconds: i64) -> Program {
    let path = file(name);
    let expires = Timestamp::now() + SignedDuration::from_secs(seconds);
    shell(&format!(
        "echo >>{0}; echo '{{\"status\":{{\"token\":\"'$(wc -l <{0})'\",\"expirationTimestamp\":\"{expires}\"}}}}'",
        path.display()
    ))
}

async fn fault(program: &Program, limit: Duration) -> String {
    program.ask_within(limit).await.err().unwrap().to_string()
}

/// Whether it runs; what has ended and was not asked for its end does not.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X']) && !rest.is_empty())
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_with_all_that_it_has_started() {
    let pids = file("pids");
    let hangs = shell(&format!("sleep 600 & echo $$ $! >{}; wait", pids.display()));
    let begin = Instant::now();
    let told = fault(&hangs, Duration::from_secs(1)).await;
    assert_eq!(told, "the program for credentials 'sh' gave none within 1 s and was ended");
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    let pids = std::fs::read_to_string(pids).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(pids.split_whitespace().count() == 2 && !pids.split_whitespace().any(runs), "{pids}");
}

#[tokio::test]
async fn a_program_that_nobody_waits_for_any_more_is_ended() {
    let pids = file("dropped");
    let hangs = shell(&format!("echo $$ >{}; sleep 600", pids.display()));
    let asked = tokio::time::timeout(Duration::from_millis(500), hangs.ask_within(LIMIT)).await;
    assert!(asked.is_err());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let pid = std::fs::read_to_string(pids).unwrap();
    assert!(!runs(pid.trim()), "{pid}");
}

#[tokio::test]
async fn what_it_has_started_and_left_behind_does_not_keep_it_open() {
    let leaves = shell("sleep 600 & echo '{\"status\":{\"token\":\"a\"}}'");
    let told = fault(&leaves, Duration::from_secs(1)).await;
    assert_eq!(told, "the program for credentials 'sh' gave none within 1 s and was ended");
}

#[tokio::test]
async fn a_program_that_fails_is_told_with_what_it_complains_of_and_nothing_that_it_prints() {
    for (script, told) in [
        ("echo secret; exit 3", "ended with exit status: 3"),
        ("echo secret; printf 'log \\033in\\nmore\\n' >&2; exit 3", "ended with exit status: 3: log  in"),
        ("echo secret", "prints none"),
        ("echo '{\"status\":{}}'", "prints none"),
        ("echo '{\"status\":{\"token\":\"a\",\"expirationTimestamp\":\"soon\"}}'", "prints none"),
    ] {
        let program = shell(script);
        assert_eq!(
            fault(&program, LIMIT).await,
            format!("the program for credentials 'sh' {told}"),
            "{script}"
        );
    }
}

#[tokio::test]
async fn it_is_told_what_kubectl_tells_it() {
    let program = shell(
        "echo \"{\\\"status\\\":{\\\"token\\\":\\\"$(echo \"$KUBERNETES_EXEC_INFO\" | tr -d '\\\" {}')\\\"}}\"",
    );
    let given = program.ask().await.ok().unwrap();
    let told = given.token.unwrap();
    assert_eq!(told, "Bearer apiVersion:v1,kind:ExecCredential,spec:interactive:false");
}

/// A token that is valid for so many seconds more, and is to be replaced in so many.
fn token(program: Program, valid: i64, due: i64) -> Arc<Token> {
    let at = |seconds| Some(Timestamp::now() + SignedDuration::from_secs(seconds));
    let token = Token::new(program, HeaderValue::from_static("Bearer old"), at(valid));
    token.lock().due = at(due);
    token
}

fn is_asked_for(token: &Token) -> bool {
    let held = token.lock();
    held.asked.is_some() && held.failed.is_none()
}

async fn until_replaced(token: &Arc<Token>) -> HeaderValue {
    let begin = Instant::now();
    while is_asked_for(token) {
        assert!(begin.elapsed() < Duration::from_secs(10), "it is never there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    token.lock().header.clone()
}

#[tokio::test]
async fn a_token_is_replaced_before_it_expires_and_not_sooner() {
    for (name, valid, due, first, second) in [
        ("later", 3600, 3540, "Bearer old", "Bearer old"),
        // No request waits while the old one is good.
        ("soon", 30, -30, "Bearer old", "Bearer 1"),
        ("expired", -1, -1, "Bearer 1", "Bearer 1"),
    ] {
        let token = token(counted(name, 3600), valid, due);
        assert_eq!(token.header().await.unwrap(), first, "{name}");
        assert_eq!(until_replaced(&token).await, second, "{name}");
        assert_eq!(token.header().await.unwrap(), second, "{name}");
    }
}

#[tokio::test]
async fn a_token_is_due_in_time_for_a_slow_program_and_not_at_once_if_it_is_short_lived() {
    let now = Timestamp::now();
    for (valid, due) in [(3600, 3540), (120, 60), (40, 20), (-5, -5)] {
        let expires = now + SignedDuration::from_secs(valid);
        let held = Held::new(HeaderValue::from_static("Bearer a"), Some(expires));
        let due_in = held.due.unwrap().duration_since(now);
        assert!((due_in - SignedDuration::from_secs(due)).abs() < SignedDuration::from_secs(2), "{due_in:?}");
    }
    assert!(AHEAD > SignedDuration::try_from(LIMIT).unwrap());
}

#[tokio::test]
async fn a_program_that_takes_longer_than_any_request_is_asked_once_and_heard() {
    let path = file("slow");
    let answer = "{\"status\":{\"token\":\"new\"}}";
    let slow = shell(&format!("echo >>{}; sleep 1; echo '{answer}'", path.display()));
    let token = token(slow, -1, -1);
    for _ in 0..3 {
        let waited = tokio::time::timeout(Duration::from_millis(200), token.header()).await;
        assert!(waited.is_err(), "{waited:?}");
    }
    assert_eq!(token.header().await.unwrap(), "Bearer new");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "\n", "it was asked more than once");
}

#[tokio::test]
async fn a_token_that_cannot_be_replaced_is_used_as_long_as_it_is_valid() {
    for (valid, is_valid) in [(30, true), (-1, false)] {
        let token = token(shell("exit 1"), valid, -1);
        for _ in 0..2 {
            assert_eq!(token.header().await.is_ok(), is_valid);
            assert_eq!(until_replaced(&token).await, "Bearer old");
        }
    }
}

#[tokio::test]
async fn a_program_that_has_failed_is_left_alone_for_a_while_and_then_asked_again() {
    let path = file("failing");
    let failing = shell(&format!("echo >>{}; echo log in >&2; exit 1", path.display()));
    let asked = || std::fs::read_to_string(&path).unwrap().len();
    let token = token(failing, -1, -1);
    for _ in 0..3 {
        let told = token.header().await.unwrap_err().to_string();
        assert_eq!(told, "the program for credentials 'sh' ended with exit status: 1: log in");
    }
    assert_eq!(asked(), 1);
    // Each time for twice as long, but for no longer than a minute where nobody has to log in.
    for (times, seconds) in (2..).zip([10, 20, 40, 60, 60]) {
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds));
        token.lock().failed = ago(seconds / 2);
        assert!(token.header().await.is_err());
        assert_eq!(asked(), times - 1, "after {} s", seconds / 2);
        token.lock().failed = ago(seconds);
        assert!(token.header().await.is_err());
        assert_eq!(asked(), times, "after {seconds} s");
    }
}
