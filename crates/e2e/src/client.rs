//! A WebSocket client that speaks plain JSON.

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::{PATIENCE, Server};

/// How a socket ended: the close code, or `None` if it just broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed(pub Option<u16>);

/// One socket.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    /// Opens a socket and takes the greeting.
    ///
    /// # Errors
    /// The server refuses, or greets otherwise.
    pub async fn connect(server: &Server) -> anyhow::Result<Self> {
        let mut client = Self::open(&server.ws(), None).await?;
        let welcome = client.next().await?;
        if welcome["type"] != "welcome" {
            bail!("no welcome: {welcome}");
        }
        Ok(client)
    }

    /// Opens a socket as a page of `origin` would; the greeting is left unread.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn open(url: &str, origin: Option<&str>) -> anyhow::Result<Self> {
        let mut request = url.into_client_request()?;
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", HeaderValue::from_str(origin)?);
        }
        let (socket, _) = timeout(PATIENCE, connect_async(request)).await??;
        Ok(Self { socket })
    }

    /// Opens a socket and registers.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn register(server: &Server, peer_id: &str) -> anyhow::Result<Self> {
        let mut client = Self::connect(server).await?;
        client.send(json!({"type": "register", "peerId": peer_id})).await?;
        client.expect("registered").await?;
        Ok(client)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The socket is gone.
    pub async fn send(&mut self, message: Value) -> anyhow::Result<()> {
        self.send_raw(Message::text(message.to_string())).await
    }

    /// Sends whatever.
    ///
    /// # Errors
    /// The socket is gone.
    pub async fn send_raw(&mut self, message: Message) -> anyhow::Result<()> {
        timeout(PATIENCE, self.socket.send(message)).await?.context("cannot send")
    }

    /// Puts a message into the buffer; [`Self::flush`] sends it.
    ///
    /// # Errors
    /// The socket is gone.
    pub async fn feed(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.socket.feed(Message::text(text)).await?)
    }

    /// Sends what is in the buffer.
    ///
    /// # Errors
    /// The socket is gone.
    pub async fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.socket.flush().await?)
    }

    /// Returns the next message.
    ///
    /// # Errors
    /// The socket is closed, or nothing comes within [`PATIENCE`].
    pub async fn next(&mut self) -> anyhow::Result<Value> {
        match timeout(PATIENCE, self.next_text()).await.context("nothing comes")? {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(closed) => bail!("the socket is closed: {closed:?}"),
        }
    }

    /// Returns the next text, however long it takes.
    ///
    /// # Errors
    /// The socket is closed.
    pub async fn next_text(&mut self) -> Result<String, Closed> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => {
                    return Err(Closed(frame.map(|frame| frame.code.into())));
                }
                Some(Ok(_)) => {}
                Some(Err(Error::ConnectionClosed)) | None => return Err(Closed(None)),
                Some(Err(_)) => return Err(Closed(None)),
            }
        }
    }

    /// Returns the next message, which must be of this type.
    ///
    /// # Errors
    /// It is of another.
    pub async fn expect(&mut self, kind: &str) -> anyhow::Result<Value> {
        let message = self.next().await?;
        if message["type"] != kind {
            bail!("expected `{kind}`, got {message}");
        }
        Ok(message)
    }

    /// Reads until a message of this type comes.
    ///
    /// # Errors
    /// The socket closes before.
    pub async fn until(&mut self, kind: &str) -> anyhow::Result<Value> {
        loop {
            let message = self.next().await?;
            if message["type"] == kind {
                return Ok(message);
            }
        }
    }

    /// Sends a message and returns the code of the refusal that must follow at once.
    ///
    /// # Errors
    /// Something else follows.
    pub async fn refused(&mut self, message: Value) -> anyhow::Result<String> {
        self.send(message).await?;
        self.expect_error().await
    }

    /// Returns the code of the next message, which must be an `error` with words.
    ///
    /// # Errors
    /// It is none.
    pub async fn expect_error(&mut self) -> anyhow::Result<String> {
        let error = self.expect("error").await?;
        if error["message"].as_str().is_none_or(str::is_empty) {
            bail!("an error without words: {error}");
        }
        Ok(error["code"].as_str().unwrap_or_default().to_owned())
    }

    /// Reads on until the socket is closed; returns how.
    ///
    /// # Errors
    /// It is not closed within [`PATIENCE`].
    pub async fn closed(&mut self) -> anyhow::Result<Closed> {
        let end = async {
            loop {
                if let Err(closed) = self.next_text().await {
                    return closed;
                }
            }
        };
        timeout(PATIENCE, end).await.context("the socket stays open")
    }

    /// Closes the socket properly.
    ///
    /// # Errors
    /// It is gone already.
    pub async fn close(mut self) -> anyhow::Result<()> {
        Ok(self.socket.close(None).await?)
    }
}
