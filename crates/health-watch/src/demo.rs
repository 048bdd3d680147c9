//! A target of our own, for whoever runs the first command before having anything to watch.
//!
//! It is a real server on loopback: it accepts, reads a request's head and answers. It lives as long as the program.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 32\r\nconnection: close\r\n\r\n\
                        {\"status\":\"ok\",\"service\":\"demo\"}";

/// Starts the server and says where it listens.
#[expect(clippy::disallowed_methods, reason = "the demonstration owns its target")]
pub(crate) fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(answer(stream))));
    Ok(address)
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < 16 << 10 {
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            count => head.extend_from_slice(chunk.get(..count).unwrap_or_default()),
        }
    }
    stream.write_all(ANSWER)
}
