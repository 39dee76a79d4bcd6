//! The schedule as a timer, and the queue of sync work as a channel.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rollcall_admin_api::queue::{NotQueued, SyncQueue};
use rollcall_domain::{RunId, Timestamp, WorkspaceId};
use rollcall_scheduled_sync::{Engine, EngineError, Queue, QueueError, SyncMessage};
use rollcall_service::clock::Clock;
use rollcall_store::Store;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, LocalSet};

/// How long a run may take: Lambda's 15 minutes, less what it keeps for its last write.
const RUN_DEADLINE: Duration = Duration::from_mins(14);
/// When a message that could not be worked on comes again. SQS waits longer.
const AGAIN: Duration = Duration::from_millis(200);
/// How often a message comes before it is set aside.
const MOST_TIMES: usize = 25;

/// How often is looked for events that are not told yet.
const STREAM: Duration = Duration::from_millis(500);
/// Workspaces looked at together.
const PAGE: usize = 100;

/// The queue: a channel that counts what is in it and under way.
#[derive(Clone)]
pub struct LocalQueue {
    messages: mpsc::UnboundedSender<SyncMessage>,
    open: Arc<watch::Sender<usize>>,
}

impl LocalQueue {
    /// A queue, and the end at which its messages come out.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<SyncMessage>) {
        let (messages, receiver) = mpsc::unbounded_channel();
        (Self { messages, open: Arc::new(watch::Sender::new(0)) }, receiver)
    }

    fn put(&self, message: SyncMessage) -> Result<(), QueueError> {
        self.open.send_modify(|open| *open += 1);
        self.messages.send(message).map_err(|_| {
            self.done();
            QueueError("the local stack is ending".to_owned())
        })
    }

    fn done(&self) {
        self.open.send_modify(|open| *open = open.saturating_sub(1));
    }

    /// Waits until every message has been worked on.
    pub async fn is_empty(&self) {
        // The sender lives as long as this queue.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }
}

impl Queue for LocalQueue {
    fn send(&self, messages: Vec<SyncMessage>) -> BoxFuture<'_, Result<(), QueueError>> {
        let sent = messages.into_iter().try_for_each(|message| self.put(message));
        Box::pin(async move { sent })
    }
}

impl SyncQueue for LocalQueue {
    fn ask(&self, workspace: WorkspaceId, run: RunId) -> BoxFuture<'_, Result<(), NotQueued>> {
        let message = SyncMessage { workspace, run, mode: None, scheduled: false };
        let sent = self.put(message).map_err(|QueueError(why)| NotQueued(why));
        Box::pin(async move { sent })
    }
}

/// The sync at work: messages become runs, and ticks become messages.
pub struct Schedule {
    engine: Engine,
    queue: LocalQueue,
    clock: Arc<dyn Clock>,
    ticks: Option<JoinHandle<()>>,
    telling: JoinHandle<()>,
    /// Dropped with the rest, which ends the worker.
    _stop: oneshot::Sender<()>,
}

impl Schedule {
    /// Begins to work on the messages of the queue, on a thread of its own: a Lambda has one, and runs need no more.
    pub fn start(
        engine: Engine,
        queue: LocalQueue,
        receiver: mpsc::UnboundedReceiver<SyncMessage>,
        clock: Arc<dyn Clock>,
        store: Store,
    ) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let worker = work(engine.clone(), queue.clone(), receiver, Arc::clone(&clock));
        std::thread::Builder::new().name("sync".to_owned()).spawn(move || {
            let tasks = LocalSet::new();
            runtime.block_on(tasks.run_until(async {
                tokio::select! {
                    () = worker => {}
                    _ = stopped => {}
                }
            }));
        })?;
        let telling = tokio::spawn(tell(engine.clone(), store));
        Ok(Self { engine, queue, clock, ticks: None, telling, _stop: stop })
    }

    /// Begins to tick, every so often, as long as the stack is up.
    pub fn tick_every(&mut self, interval: Duration) {
        let (engine, clock) = (self.engine.clone(), Arc::clone(&self.clock));
        self.ticks = Some(tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                if let Err(error) = engine.handle_tick(clock.now()).await {
                    tracing::error!(%error, "the schedule's tick failed; the next one comes");
                }
            }
        }));
    }

    /// One tick now, and everything that comes of it. How many connections it was for.
    pub async fn tick(&self) -> Result<usize, EngineError> {
        let asked_for = self.engine.handle_tick(self.clock.now()).await?;
        self.queue.is_empty().await;
        Ok(asked_for)
    }

    /// Waits until all work that was asked for is done.
    pub async fn is_idle(&self) {
        self.queue.is_empty().await;
    }

    /// Ends the work. A run that is under way is broken off, and gone on with at the next start's first tick.
    pub fn stop(self) {
        self.telling.abort();
        if let Some(ticks) = self.ticks {
            ticks.abort();
        }
    }
}

/// In place of the table's stream, which asks for events to be told as soon as they are written.
async fn tell(engine: Engine, store: Store) {
    loop {
        tokio::time::sleep(STREAM).await;
        let mut after = None;
        while let Ok(page) = store.workspaces(after.as_ref(), PAGE).await {
            for workspace in page.items {
                engine.tell_events(workspace.id).await;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
}

async fn work(
    engine: Engine,
    queue: LocalQueue,
    mut receiver: mpsc::UnboundedReceiver<SyncMessage>,
    clock: Arc<dyn Clock>,
) {
    while let Some(message) = receiver.recv().await {
        let (engine, queue, clock) = (engine.clone(), queue.clone(), Arc::clone(&clock));
        tokio::task::spawn_local(async move {
            for _ in 0..MOST_TIMES {
                match engine.handle_message(&message, deadline(&*clock)).await {
                    Ok(_) => break,
                    // As SQS does, when a message is not deleted: it comes again.
                    Err(error) => {
                        tracing::info!(%error, run = %message.run, "sync work comes again");
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
            queue.done();
        });
    }
}

fn deadline(clock: &dyn Clock) -> Timestamp {
    clock.now().plus(RUN_DEADLINE)
}
