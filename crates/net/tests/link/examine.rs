//! `doctor` judges a pool as `mine` does, over real sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use midstate_net::{Dialler, Outcome, Stage, Step, examine_pool};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::pipes::{Running, account, notify};

/// How a pool takes a request that it does not know.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    HangsUp,
    RefusesAndHangsUp,
    /// It says to nobody in particular that it is full, and hangs up.
    IsFull,
    /// It begins with a line of text, and hangs up when it has answered.
    Greets,
}

/// A pool that cannot bear `method`; where it listens, and how often it was connected to.
async fn serve(method: &'static str, manner: Manner) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let connections = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(talk(stream, method, manner));
        }
    });
    (address.to_string(), connections)
}

async fn talk(stream: TcpStream, method: &str, manner: Manner) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    if manner == Manner::Greets {
        writer.write_all(b"Welcome to the pool\r\n").await.unwrap();
    }
    while let Ok(Some(line)) = lines.next_line().await {
        let request: Value = serde_json::from_str(&line).unwrap();
        let mut answer = json!({"id": request["id"], "result": true, "error": null});
        let is_the_one = request["method"] == method;
        if is_the_one && manner == Manner::HangsUp {
            return;
        }
        let is_full = manner == Manner::IsFull;
        if is_full {
            answer = json!({"id": null, "result": null, "error": [20, "this pool is full", null]});
        } else if is_the_one && manner != Manner::Greets {
            answer["error"] = json!([20, "Unknown method, go away", null]);
        }
        if request["method"] == "mining.subscribe" {
            answer["result"] = json!([[], "00000001", 4]);
        }
        let mut text = format!("{answer}\n");
        if request["method"] == "mining.authorize" && !is_the_one {
            text += &format!("{}\n", notify("one", 0));
        }
        if writer.write_all(text.as_bytes()).await.is_err() || is_the_one || is_full {
            // All is read, so that no reset takes the answer with it.
            let _ = writer.shutdown().await;
            while let Ok(Some(_)) = lines.next_line().await {}
            return;
        }
    }
}

#[tokio::test]
async fn rule_5_the_doctor_does_without_what_a_pool_cannot_bear_as_mine_does() {
    for method in ["mining.configure", "mining.extranonce.subscribe"] {
        for manner in [Manner::HangsUp, Manner::RefusesAndHangsUp] {
            let (host, _) = serve(method, manner).await;
            let mut account = account(&host);
            account.client.version_mask = 0x1fff_e000;
            let mut steps = Vec::new();
            let job = examine_pool(&account, &Dialler::default(), |step| steps.push(step)).await;
            assert!(job.is_some(), "{method}, {manner:?}: {steps:?}");
            let doubts: Vec<_> = steps
                .iter()
                .filter_map(|step| match &step.outcome {
                    Outcome::Doubtful(words) => Some(words),
                    _ => None,
                })
                .collect();
            let is_told = manner == Manner::RefusesAndHangsUp;
            let (words, findings) = doubts.split_at(usize::from(is_told));
            assert!(words.iter().all(|words| words.contains("Unknown method, go away")));
            let [finding] = findings else { panic!("one finding: {steps:?}") };
            assert!(finding.contains(method) && finding.contains("hung up"), "{finding}");
            for stage in [Stage::Subscribe, Stage::Authorize, Stage::Job] {
                let is_good =
                    |step: &&Step| step.stage == stage && matches!(step.outcome, Outcome::Good(_));
                assert_eq!(steps.iter().filter(is_good).count(), 1, "{stage:?}: {steps:?}");
            }
        }
    }
}

#[tokio::test]
async fn rule_5_a_pool_that_is_full_is_told_of_once_in_its_own_words() {
    let (host, _) = serve("mining.configure", Manner::IsFull).await;
    let mut account = account(&host);
    account.client.version_mask = 0x1fff_e000;
    let mut outcomes = Vec::new();
    let told = |step: Step| outcomes.push(step.outcome);
    assert!(examine_pool(&account, &Dialler::default(), told).await.is_none());
    let is_said =
        |outcome: &&Outcome| matches!(outcome, Outcome::Doubtful(words) if words.contains("full"));
    assert_eq!(outcomes.iter().filter(is_said).count(), 1, "{outcomes:?}");
    let Some(Outcome::Explained(words)) = outcomes.last() else { panic!("{outcomes:?}") };
    assert!(words.contains("closed the connection; before that it said: "), "{words}");
    assert!(words.contains("this pool is full"), "{words}");
}

#[tokio::test]
async fn rule_8_a_pool_that_let_us_in_speaks_stratum_whatever_its_first_words_were() {
    let (host, _) = serve("mining.authorize", Manner::Greets).await;
    let mut last = None;
    let dialler = Dialler::default();
    let job = examine_pool(&account(&host), &dialler, |step| last = Some(step.outcome)).await;
    assert!(job.is_none());
    let doctor = format!("{last:?}");
    assert!(doctor.contains("closed the connection"), "{doctor}");
    assert!(!doctor.contains("does not speak") && !doctor.contains("without a word"), "{doctor}");
    let mut running = Running::start_by(Arc::new(dialler), vec![account(&host)], None);
    running.until(|running| !running.lost.is_empty()).await;
    assert_eq!(running.lost[0], "the pool closed the connection");
}

#[tokio::test]
async fn the_doctor_knocks_a_few_times_at_a_pool_that_always_hangs_up() {
    let (host, connections) = serve("mining.subscribe", Manner::HangsUp).await;
    let mut end = None;
    let told = |step: Step| end = Some(step.outcome);
    assert!(examine_pool(&account(&host), &Dialler::default(), told).await.is_none());
    let Some(Outcome::Explained(words)) = end else { panic!("explained: {end:?}") };
    assert!(words.contains("without a word"), "{words}");
    let connections = connections.load(Ordering::Relaxed);
    assert!((2..=5).contains(&connections), "{connections}");
}

/// A server that says this at once and stays; `None`: one that closes without a word.
async fn says(words: Option<&'static [u8]>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if let Some(words) = words {
                stream.write_all(words).await.unwrap();
                open.push(stream);
            }
        }
    });
    address.to_string()
}

#[tokio::test]
async fn rule_8_json_that_no_pool_sends_is_told_with_its_first_bytes() {
    let echoed = &b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"midstate\"]}\n"[..];
    let host = says(Some(echoed)).await;
    let mut last = None;
    let dialler = Dialler::default();
    let job = examine_pool(&account(&host), &dialler, |step| last = Some(step.outcome)).await;
    assert!(job.is_none());
    let Some(Outcome::Explained(doctor)) = last else { panic!("{last:?}") };
    let mut running = Running::start_by(Arc::new(dialler), vec![account(&host)], None);
    running.until(|running| !running.lost.is_empty()).await;
    for words in [&doctor, &running.lost[0]] {
        assert!(words.contains("it repeats what we send; its first bytes are "), "{words}");
    }
}

#[tokio::test]
async fn rule_8_at_a_v2_url_the_doctor_and_the_miner_name_the_other_protocol() {
    for (words, told) in [
        (Some(&b"{\"id\":null,\"error\":[20,\"?\",null]}\n"[..]), "it looks like Stratum V1"),
        (Some(b"HTTP/1.1 400 Bad Request\r\n"), "it looks like HTTP"),
        (Some(b"\x15\x03\x01\0\x02\x02\x46"), "it looks like TLS"),
        (Some(b"SSH-2.0-OpenSSH_9.6\r\n"), "it looks like SSH"),
        (None, "without a word; is it a port of Stratum V2?"),
    ] {
        let host = says(words).await;
        let account = account(&format!("stratum2+tcp://{host}"));
        let mut last = None;
        let dialler = Dialler::default();
        let job = examine_pool(&account, &dialler, |step| last = Some(step.outcome)).await;
        assert!(job.is_none());
        let Some(Outcome::Explained(doctor)) = last else { panic!("{last:?}") };
        assert!(doctor.contains(told) && doctor.contains("://"), "{doctor}");
        let mut running = Running::start_by(Arc::new(dialler), vec![account], None);
        running.until(|running| !running.lost.is_empty()).await;
        assert!(running.lost[0].contains(told), "{:?}", running.lost);
    }
}
