//! The limits of a class, in one place.

use std::time::Duration;

use midstate_limits::{LimitRow, row};

/// What devices may do, and the memory that they may fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassLimits {
    /// Devices at a time.
    pub devices: usize,
    /// How long a device may be silent and keep its place. It keeps its name and its row.
    pub silent: Duration,
    /// The same for a device whose stream has ended: a page that was closed, or lost its network.
    pub closed: Duration,
    /// Devices that are remembered, those that are away for long included.
    pub remembered: usize,
    /// Characters of a name.
    pub name: usize,
    /// Wrong codes from one address within [`pause`](Self::pause); then the address waits.
    pub wrong_codes: u32,
    /// Devices that may join from one address within [`pause`](Self::pause). A school may have one
    /// address.
    pub joins: u32,
    /// How long an address waits.
    pub pause: Duration,
    /// Addresses that are remembered for that.
    pub addresses: usize,
    /// Requests of a device in a second, on average.
    pub requests: u32,
    /// Requests of a device at once.
    pub burst: u32,
    /// Requests refused for their number, more than are admitted, after which a device is dropped.
    pub floods: u32,
    /// Requests or hits in a row that make no sense, after which a device is dropped.
    pub strikes: u32,
    /// Hits in one request.
    pub hits: usize,
    /// Hits of one piece of work: each is remembered, so that a request that is sent again counts
    /// once.
    pub hits_of_a_piece: usize,
    /// Pieces of work of one device whose hits still have a verdict.
    pub pieces: usize,
    /// Waits for a block that are remembered.
    pub waits: usize,
    /// Changes of the block difficulty that are remembered.
    pub retargets: usize,
}

impl Default for ClassLimits {
    fn default() -> Self {
        Self {
            devices: 400,
            silent: Duration::from_secs(180),
            closed: Duration::from_secs(15),
            remembered: 1000,
            name: 20,
            wrong_codes: 10,
            joins: 200,
            pause: Duration::from_secs(60),
            addresses: 1024,
            requests: 10,
            burst: 50,
            floods: 100,
            strikes: 10,
            hits: 16,
            hits_of_a_piece: 1024,
            pieces: 4,
            waits: 500,
            retargets: 200,
        }
    }
}

impl ClassLimits {
    /// Each limit as a row.
    pub fn rows(&self) -> Vec<LimitRow> {
        // Taken apart by name, so that a limit without a row does not compile.
        let Self { devices, silent, closed, remembered, name, wrong_codes, joins, pause, .. } =
            self;
        let Self { addresses, requests, burst, floods, strikes, .. } = self;
        let Self { hits, hits_of_a_piece, pieces, waits, retargets, .. } = self;
        vec![
            row("devices of a class", devices, "answered 503"),
            row("silence of a device", silent, "its place is free; it may come back"),
            row("device without a stream", closed, "its place is free; it may come back"),
            row("devices remembered", remembered, "the one silent longest has to join anew"),
            row("characters of a device's name", name, "cut"),
            row("wrong codes of an address", *wrong_codes as usize, "the address waits"),
            row("devices joining from an address", *joins as usize, "the address waits"),
            row("wait of an address, time counted", pause, "answered 429 until then"),
            row("addresses remembered", addresses, "the oldest is forgotten"),
            row("requests of a device in a second", *requests as usize, "answered 429"),
            row("requests of a device at once", *burst as usize, "answered 429"),
            row(
                "requests too many, less those in order",
                *floods as usize,
                "the device is dropped",
            ),
            row("senseless requests in a row", *strikes as usize, "the device is dropped"),
            row("hits in a request", hits, "answered 400"),
            row("hits of a piece of work", hits_of_a_piece, "refused"),
            row("pieces of work of a device", pieces, "hits of older ones are stale"),
            row("waits remembered", waits, "the oldest is forgotten"),
            row("retargets remembered", retargets, "the oldest is forgotten"),
        ]
    }
}
