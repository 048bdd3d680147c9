//! Frames: what travels, and how. A length of four bytes, little-endian, and a postcard value of that many bytes.

use health_watch_capability::{Answer, Limits, Request};
use health_watch_runner::Ended;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Of the frames below. Both sides say it first.
pub(super) const VERSION: u32 = 1;

/// Longest frame, bytes: compiled code is the largest thing that travels.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// From the supervisor's side.
#[derive(Serialize, Deserialize)]
pub(super) enum ToChild {
    Hello { version: u32 },
    Load { probe: u32, compiled: Vec<u8> },
    Run { run: u64, probe: u32, settings: String, limits: Limits, clock: bool },
    Answer { run: u64, answer: Answer },
}

/// From the runner's side.
#[derive(Serialize, Deserialize)]
pub(super) enum FromChild {
    Hello { version: u32 },
    Ask { run: u64, request: Request },
    Ended { run: u64, ended: Result<Ended, String> },
}

pub(super) async fn write<T: Serialize>(stream: &mut (impl AsyncWrite + Unpin), frame: &T) -> io::Result<()> {
    let bytes = postcard::to_stdvec(frame).map_err(io::Error::other)?;
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::other("frame too long"))?;
    stream.write_all(&length.to_le_bytes()).await?;
    stream.write_all(&bytes).await
}

pub(super) async fn read<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let length = stream.read_u32_le().await? as usize;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::other("frame too long"));
    }
    // Grown as bytes arrive: a length alone makes nobody allocate.
    let mut bytes = Vec::new();
    stream.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    postcard::from_bytes(&bytes).map_err(io::Error::other)
}
