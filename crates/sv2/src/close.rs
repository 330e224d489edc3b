//! Why a connection has to end.

use std::time::Duration;

use midstate_stratum::PayoutError;

/// Why the caller must drop the transport. The text names the limit and what came.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// What we would send cannot be sent; connecting again does not help.
    #[error("the {what} is {got} bytes, Stratum V2 carries at most 255; shorten it")]
    TooLong {
        /// User name or host.
        what: &'static str,
        /// Its length.
        got: usize,
    },
    /// The answer to our first bytes is no Noise handshake.
    #[error(
        "the server's answer is no handshake of Stratum V2: is this a Stratum V2 port, and is \
         nothing between us that changes bytes?"
    )]
    Handshake,
    /// The server could not prove who it is.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The cipher says that bytes were changed, lost or doubled.
    #[error("a frame came that cannot be decrypted: the connection is damaged or tampered with")]
    Cipher,
    /// A frame that is longer than any message needs to be.
    #[error("a frame of {got} bytes was announced, the limit is {limit}")]
    FrameTooLong {
        /// Bytes that the header announced.
        got: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A frame was begun and not finished.
    #[error("a frame was begun and not finished within {} s", .0.as_secs())]
    FrameUnfinished(Duration),
    /// Messages whose bytes make no sense, several of them.
    #[error("{count} malformed messages came, the last one: {last}")]
    Malformed {
        /// How many.
        count: usize,
        /// The mistake in the last one.
        last: String,
    },
    /// An answer of the handshake, the setup or the opening of the channel is missing.
    #[error("no answer to {step} within {} s", .limit.as_secs())]
    Late {
        /// The message that was not answered.
        step: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// SetupConnection.Error.
    #[error("the pool refused the connection: {0}")]
    SetupRefused(String),
    /// OpenMiningChannel.Error.
    #[error("the pool opened no channel: {0}")]
    ChannelRefused(String),
    /// The same, for the user's name.
    #[error("the pool refused the user: {0}")]
    UserRefused(String),
    /// The room for our part of the extranonce, or the target, cannot be used.
    #[error("the pool opened a channel that cannot be used: {0}")]
    Unusable(String),
    /// CloseChannel.
    #[error("the pool closed the channel: {0}")]
    ChannelClosed(String),
    /// Nothing came.
    #[error("nothing came for {} s", .0.as_secs())]
    Silent(Duration),
    /// Data flows, but no work.
    #[error("no job came for {} s, though the connection is up; try another pool", .0.as_secs())]
    NoJob(Duration),
    /// The job is for somebody else, and strictness was asked for.
    #[error("job {job}: {why}")]
    Payout {
        /// The id of the job.
        job: u32,
        /// How it fails to pay.
        why: PayoutError,
    },
    /// The pool accepts none of our shares, or answers none (the rules of `stratum`).
    #[error(transparent)]
    Worthless(#[from] midstate_stratum::CloseReason),
}

/// Why a server's certificate proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Its time is over.
    #[error(
        "the server's certificate was valid until {until}, and our clock says {now} (seconds since \
         1970): one of the two clocks is wrong, or the pool has to renew it"
    )]
    Expired {
        /// Unix time.
        until: u32,
        /// Unix time.
        now: u32,
    },
    /// Its time has not come.
    #[error(
        "the server's certificate is valid from {from}, and our clock says {now} (seconds since \
         1970): one of the two clocks is wrong"
    )]
    Early {
        /// Unix time.
        from: u32,
        /// Unix time.
        now: u32,
    },
    /// A version that we do not know.
    #[error("the server's certificate has version {0}, expected was 0")]
    Version(u16),
    /// Signed by another authority.
    #[error(
        "the authority key in the URL did not sign the server's certificate: this is another pool, \
         an attacker, or the key is out of date"
    )]
    Authority,
}
