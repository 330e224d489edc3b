//! Hashing gives way to whatever else the machine has to do (U7).
#![cfg(target_os = "linux")]

use crate::program::Running;

/// Name and nice value of each thread of a process.
fn threads(pid: &str) -> Vec<(String, i32)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let read = |task: std::fs::DirEntry| {
        // A thread may end while the list is read.
        let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
        // The 19th field of proc_pid_stat(5), 17 after the name.
        Some((name.to_owned(), fields.split_ascii_whitespace().nth(16)?.parse().unwrap()))
    };
    tasks.filter_map(|task| read(task.unwrap())).collect()
}

#[test]
fn u7_hashing_threads_have_the_lowest_priority_and_no_other_thread_has() {
    let own = threads("self")[0].1;
    for (priority, expected) in [("idle", 19), ("normal", own)] {
        let mut demo = Running::start(&[
            "demo",
            "--blocks",
            "100000",
            "--difficulty",
            "0.00001",
            "--threads",
            "1",
            "--priority",
            priority,
        ]);
        demo.wait_for(|event| event["event"] == "share");
        let threads = threads(&demo.child.id().to_string());
        let (hashing, others): (Vec<_>, Vec<_>) =
            threads.into_iter().partition(|(name, _)| name.starts_with("hash-"));
        assert_eq!(hashing, [("hash-0".to_owned(), expected)], "{priority}");
        assert!(!others.is_empty());
        assert!(others.iter().all(|(_, nice)| *nice == own), "{priority}: {others:?}");
    }
}
