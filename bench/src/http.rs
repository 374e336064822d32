//! A small HTTP/1.1 server for clients on the same machine: a thread per connection, kept connections, whole bodies;
//! with or without TLS.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request. The body's buffer is used again for the next request of the connection.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A header's value by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A response. The body may be shared: events are large and sent often.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Arc<[u8]>,
}

impl Response {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status, headers, body: body.as_bytes().into() }
    }
}

/// Serves until the process ends; with a configuration, by TLS.
pub(crate) fn serve(
    tls: Option<Arc<ServerConfig>>,
    handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let handler = Arc::new(handler);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (handler, tls) = (Arc::clone(&handler), tls.clone());
            std::thread::spawn(move || {
                stream.set_nodelay(true).ok();
                match tls.map(ServerConnection::new) {
                    None => connection(stream, handler.as_ref()),
                    Some(Ok(tls)) => connection(StreamOwned::new(tls, stream), handler.as_ref()),
                    Some(Err(_)) => {}
                }
            });
        }
    });
    Ok(address)
}

/// A connection ends where its client ends it, or sends what is no HTTP.
fn connection(stream: impl Read + Write, handler: &dyn Fn(&Request) -> Response) {
    let mut reader = BufReader::with_capacity(256 * 1024, stream);
    let mut request = Request::default();
    while let Ok(true) = read(&mut reader, &mut request) {
        if write(reader.get_mut(), &handler(&request)).is_err() {
            return;
        }
    }
}

/// Reads a request; false where the client has hung up.
fn read(reader: &mut BufReader<impl Read + Write>, request: &mut Request) -> Result<bool> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(false);
    }
    let mut words = line.split_whitespace();
    request.method = words.next().unwrap_or_default().to_owned();
    request.path = words.next().unwrap_or_default().to_owned();
    request.headers.clear();
    request.body.clear();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if request.header("expect").is_some() {
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if request.header("transfer-encoding").is_some() {
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let size =
                u64::from_str_radix(line.trim(), 16).context("the size of a chunk is expected")?;
            reader.by_ref().take(size).read_to_end(&mut request.body)?;
            line.clear();
            reader.read_line(&mut line)?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = request.header("content-length") {
        let length: usize = length.parse()?;
        if length > 64 * 1024 * 1024 {
            bail!("a body of {length} bytes is not expected here");
        }
        request.body.resize(length, 0);
        reader.read_exact(&mut request.body)?;
    }
    Ok(true)
}

fn write(stream: &mut impl Write, response: &Response) -> std::io::Result<()> {
    let mut head =
        format!("HTTP/1.1 {} OK\r\ncontent-length: {}\r\n", response.status, response.body.len());
    for (name, value) in &response.headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&response.body)?;
    stream.flush()
}
