//! The demo's usage: real flights, sent to the server's own door for events.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use domain::Timestamp;

use crate::flights::{FlightRows, Planes, Replay, TABLE};
use crate::import::{
    Checkpoint, Convert, Format, HttpTarget, Progress, Source, Tally, Target, deliver,
};

/// Month and day that are flown again: a Tuesday of 894 flights.
const REPLAYED: (u8, u8) = (1, 15);

/// Imports the two months that come with the program, or a file in their place.
pub(super) async fn import(url: &str, key: &str, flights: Option<&Path>) -> anyhow::Result<Tally> {
    let (source, progress) = match flights {
        Some(path) => {
            let progress = Progress::new(path);
            let source = Source::open(path, Some(Format::Csv), &progress)?;
            (source, progress)
        }
        None => (own_table()?, Progress::none()),
    };
    send(source, None, url, key, &progress).await
}

/// Moves the flights of one day into the 24 hours before `now`.
pub(super) async fn replay(url: &str, key: &str, now: Timestamp) -> anyhow::Result<Tally> {
    let (month, day) = REPLAYED;
    let replay = Replay { month, day, now };
    send(own_table()?, Some(replay), url, key, &Progress::none()).await
}

fn own_table() -> anyhow::Result<Source> {
    let input = zstd::Decoder::new(TABLE).context("the program's own flights are damaged")?;
    let name = Path::new("flights of January and March 2013");
    Ok(Source::of_text(name, Format::Csv, Box::new(input)))
}

async fn send(
    mut source: Source,
    replay: Option<Replay>,
    url: &str,
    key: &str,
    progress: &Progress,
) -> anyhow::Result<Tally> {
    let header = source.read_table(None, b',')?;
    let planes = Planes::read().context("the program's own planes are damaged")?;
    let convert = Convert::Flights(Box::new(FlightRows::new(header, planes, replay)));
    let target = Arc::new(Target::Http(HttpTarget::new(url, key, true)?));
    let mut checkpoint = Checkpoint::none();
    let tally = deliver(source, convert, target, &mut checkpoint, progress).await?;
    anyhow::ensure!(
        tally.refused == 0 && tally.conflict == 0,
        "the flights were not taken as they are: {}; first: {:?}",
        tally.sentence(),
        tally.named.first()
    );
    Ok(tally)
}
