//! `midstate doctor` at pools: what it says is what happened, and its cure fits.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};

use crate::pools::{answer, notify, pool};
use crate::program::{events, run};

/// The exit code, and the last finding with its cure.
fn examine(serve: impl Fn(&Value, &mut TcpStream) + Clone + Send + 'static) -> (i32, Value) {
    examine_as(&["-u", "me"], serve)
}

fn examine_as(
    user: &[&str],
    serve: impl Fn(&Value, &mut TcpStream) + Clone + Send + 'static,
) -> (i32, Value) {
    let address = pool(move |request, stream| match request["method"].as_str().unwrap() {
        "mining.subscribe" => {
            answer(stream, request, &json!([[], "00000001", 4]));
            serve(request, stream);
        }
        "mining.authorize" => serve(request, stream),
        _ => answer(stream, request, &json!(false)),
    });
    let output = run(&[&["doctor", &address, "--json"], user].concat());
    let mut events = events(&output.stdout);
    (output.status.code().unwrap(), events.pop().expect("a finding"))
}

fn is_authorize(request: &Value) -> bool {
    request["method"] == "mining.authorize"
}

#[track_caller]
fn assert_found((code, finding): (i32, Value), check: &str, is: i32, found: &str, cure: &str) {
    assert_eq!((&finding["check"], code), (&check.into(), is), "{finding}");
    let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    assert!(text("found").contains(found), "{found:?} is not in: {finding}");
    match cure {
        "" => assert_eq!(finding["cure"], Value::Null, "the finding says all"),
        _ => assert!(text("cure").contains(cure), "{cure:?} is not in: {finding}"),
    }
}

#[test]
fn the_doctor_says_that_a_user_is_refused_only_where_the_pool_refused_it() {
    let refused = examine(|request, stream| {
        if is_authorize(request) {
            answer(stream, request, &json!(false));
        }
    });
    assert_found(refused, "authorize", 3, "refused user or password", "--user and --pass");
    let hung_up = examine(|request, stream| {
        if is_authorize(request) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    assert_found(hung_up, "authorize", 1, "closed the connection", "no clear answer");
    let long = examine(|request, stream| {
        if is_authorize(request) {
            let line = "A".repeat(600_000);
            let _ = writeln!(stream, "{{\"id\":null,\"method\":\"{line}\"}}");
        }
    });
    assert_found(long, "authorize", 1, "the limit is", "");
}

#[test]
fn the_doctor_without_a_user_says_that_none_was_given() {
    let refused = examine_as(&[], |request, stream| {
        if is_authorize(request) {
            answer(stream, request, &json!(false));
        }
    });
    assert_found(refused, "authorize", 3, "refused user or password", "no user was given");
}

#[test]
fn the_doctor_waits_for_an_answer_and_says_that_none_came() {
    let silent = examine(|_, _| {});
    assert_found(silent, "authorize", 1, "no answer to mining.authorize", "no clear answer");
}

#[test]
fn the_doctor_names_where_a_pool_redirects_to() {
    let redirected = examine(|request, stream| {
        if is_authorize(request) {
            let call = json!({"id": null, "method": "client.reconnect", "params": ["", 4444, 0]});
            let _ = writeln!(stream, "{call}");
        }
    });
    let to = "redirects to stratum+tcp://127.0.0.1:4444";
    assert_found(redirected, "authorize", 1, to, "");
    // As `mine`, it stays where it is when it is sent to a stranger.
    let lured = examine(|request, stream| {
        if is_authorize(request) {
            let to = json!(["evil.example", 1, 0]);
            let call = json!({"id": null, "method": "client.reconnect", "params": to});
            let _ = writeln!(stream, "{call}");
            answer(stream, request, &json!(true));
            let _ = stream.write_all(notify("1").as_bytes());
        }
    });
    assert_eq!((lured.0, &lured.1["check"]), (0, &"clock".into()), "{}", lured.1);
}

#[test]
fn the_doctor_says_why_jobs_that_came_were_refused() {
    let unfit = examine(|request, stream| {
        if is_authorize(request) {
            answer(stream, request, &json!(true));
            let job = notify("1").replace("1d00ffff", "00000000");
            let _ = stream.write_all(job.as_bytes());
        }
    });
    assert_found(unfit, "first job", 1, "refused a job", "");
}
