//! One extract of a server: connect, read, and end the query if nobody wants its rows or it takes too long.

use super::feed::{Ended, Outlet};
use super::told::Told;
use super::tuples::Tuples;
use sqlx::Connection;
use std::cell::Cell as Flag;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(15);
/// How much longer than the server we wait: it ends the query itself.
const GRACE: Duration = Duration::from_secs(15);
/// How long it may take to tell the server that the query is not wanted.
const CANCEL: Duration = Duration::from_secs(5);

/// What a kind of server does in its own way.
pub(super) trait Dialogue {
    type Connection: Connection;
    /// What the server calls a session by.
    type Process: Copy;
    /// What is known before the first row.
    type Head;

    fn told(&self) -> &Told;

    async fn connect(&self) -> Result<Self::Connection, sqlx::Error>;

    /// Hands the rows to the outlet. `process`: to be set once it is known how the query can be ended. `chosen`: which columns are
    /// wanted.
    async fn read(
        &self,
        connection: &mut Self::Connection,
        process: &Flag<Option<Self::Process>>,
        outlet: &Outlet<Self::Head, Tuples>,
        chosen: oneshot::Receiver<Vec<usize>>,
    ) -> Result<(), Ended>;

    /// Ends the query of a process, by a connection of its own.
    async fn cancel(connection: &mut Self::Connection, process: Self::Process) -> Result<(), sqlx::Error>;
}

/// Has it, from the connection to the last row.
pub(super) async fn have<D: Dialogue>(
    dialogue: D,
    outlet: Outlet<D::Head, Tuples>,
    chosen: oneshot::Receiver<Vec<usize>>,
) -> Result<(), Ended> {
    let (told, begin) = (dialogue.told(), Instant::now());
    let connecting = async { dialogue.connect().await.map_err(|e| told.connecting(e).into()) };
    let mut connection = outlet.unless(begin + CONNECT, || told.silent(CONNECT), connecting).await?;
    let (process, late) = (Flag::new(None), Flag::new(false));
    let is_late = || {
        late.set(true);
        told.late()
    };
    let work = dialogue.read(&mut connection, &process, &outlet, chosen);
    let done = outlet.unless(begin + told.timeout + GRACE, is_late, work).await;
    match (&done, process.get()) {
        // The connection is still open, so that the process is still ours.
        (Err(Ended::Dropped), Some(process)) => cancel(&dialogue, process).await,
        (Err(_), Some(process)) if late.get() => cancel(&dialogue, process).await,
        (Err(_), _) => {}
        // All rows are here. What the server says to the farewell does not matter.
        (Ok(()), _) => drop(tokio::time::timeout(CANCEL, connection.close()).await),
    }
    done
}

/// Tells the server that a query is not wanted. It would find out by itself only when it next sends a row.
async fn cancel<D: Dialogue>(dialogue: &D, process: D::Process) {
    let cancelling = async {
        let mut connection = dialogue.connect().await?;
        D::cancel(&mut connection, process).await?;
        connection.close().await
    };
    // If it cannot be told, it finds out, or ends at its time-out.
    let _ = tokio::time::timeout(CANCEL, cancelling).await;
}
