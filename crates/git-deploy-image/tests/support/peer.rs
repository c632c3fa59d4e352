//! A peer that answers HTTP as a test wants it: for what a registry that works never says.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Answers until the test ends.
pub(crate) struct Peer {
    pub(crate) address: String,
}

impl Peer {
    /// Each request, its line and headers in one text, gets what `answer` makes of it: status and headers, then the body.
    pub(crate) fn start(answer: impl Fn(&str) -> (String, String) + Send + 'static) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                // Who goes away in the middle has what it wanted.
                let _ = serve(connection, &answer);
            }
        });
        Peer { address }
    }
}

fn serve(mut connection: TcpStream, answer: &impl Fn(&str) -> (String, String)) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut reader = BufReader::new(connection.try_clone()?);
    while !head.ends_with(b"\r\n\r\n") {
        // TLS begins with a byte that no line of HTTP begins with.
        if reader.fill_buf()?.first() == Some(&22) || reader.read_until(b'\n', &mut head)? == 0 {
            return Ok(());
        }
    }
    let (status, body) = answer(&String::from_utf8_lossy(&head));
    write!(
        connection,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
