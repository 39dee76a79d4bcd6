//! The process of a function: started, listened to, ended.

use core::time::Duration;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::sync::{oneshot, watch};

/// Where a line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// A line that a function has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where.
    pub stream: Stream,
    /// What, without the end of the line.
    pub text: String,
}

/// A running (or ended) process of a function. Dropping it kills the process.
pub struct Function {
    pid: Option<u32>,
    lines: Arc<Lines>,
    exit: watch::Receiver<Option<ExitStatus>>,
    kill: Mutex<Option<oneshot::Sender<()>>>,
}

struct Lines {
    written: Mutex<Vec<Line>>,
    changes: watch::Sender<usize>,
}

impl Function {
    pub(crate) fn spawn(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let lines = Arc::new(Lines { written: Mutex::default(), changes: watch::Sender::new(0) });
        let out = tokio::spawn(listen(child.stdout.take(), Stream::Out, lines.clone()));
        let error = tokio::spawn(listen(child.stderr.take(), Stream::Error, lines.clone()));
        let pid = child.id();
        let (ended, exit) = watch::channel(None);
        let (kill, killed) = oneshot::channel();
        tokio::spawn(async move {
            let status = tokio::select! {
                status = child.wait() => status,
                // Also when the handle is dropped.
                _ = killed => {
                    let _ = child.start_kill();
                    child.wait().await
                }
            };
            // Whoever sees the end of the process sees its last words too.
            let _ = tokio::join!(out, error);
            ended.send_replace(status.ok());
        });
        Ok(Self { pid, lines, exit, kill: Mutex::new(Some(kill)) })
    }

    /// The process's number.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// What it has written so far.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same as one text.
    pub fn output(&self) -> String {
        self.lines().into_iter().map(|line| line.text + "\n").collect()
    }

    /// Waits for a line. `None` if it has not come within `patience`, or if the process has ended without writing it.
    pub async fn wait_for_line(&self, patience: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut changes = self.lines.changes.subscribe();
        let mut exit = self.exit.clone();
        let found = async {
            loop {
                let ended = exit.borrow().is_some();
                if let Some(line) = self.lines().into_iter().find(|line| wanted(&line.text)) {
                    return Some(line.text);
                }
                if ended {
                    return None;
                }
                tokio::select! {
                    _ = changes.changed() => {}
                    _ = exit.changed() => {}
                }
            }
        };
        tokio::time::timeout(patience, found).await.ok().flatten()
    }

    /// Waits for the process to end by itself. `None` if it is still there after `patience`.
    pub async fn exited(&self, patience: Duration) -> Option<ExitStatus> {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some);
        tokio::time::timeout(patience, ended).await.ok()?.ok().and_then(|status| *status)
    }

    /// Kills the process and waits for its end.
    pub async fn kill(&self) {
        self.begin_to_kill();
        let _ = self.exit.clone().wait_for(Option::is_some).await;
    }

    pub(crate) fn begin_to_kill(&self) {
        // Dropping the sender is the signal.
        self.kill.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(crate) fn exit(&self) -> watch::Receiver<Option<ExitStatus>> {
        self.exit.clone()
    }
}

async fn listen(stream: Option<impl AsyncRead + Unpin>, name: Stream, lines: Arc<Lines>) {
    let Some(stream) = stream else { return };
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await.is_ok_and(|bytes| bytes > 0) {
        let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
        line.clear();
        lines.written.lock().unwrap_or_else(PoisonError::into_inner).push(Line { stream: name, text });
        lines.changes.send_modify(|count| *count += 1);
    }
}
