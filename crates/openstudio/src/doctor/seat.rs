//! A seat in the running studio, taken and left: what participants are told about relays.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use openstudio_tls::Trust;
use openstudio_units::PeerId;
use openstudio_wire::{ClientMessage, IceConfig, ServerMessage};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// How long the studio may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Makes a room, leaves it, and returns what its host was told. `host` is where somebody else
/// would have found the studio, with the port.
pub(super) async fn ice(
    address: SocketAddr,
    is_encrypted: bool,
    host: &str,
) -> anyhow::Result<IceConfig> {
    let asked = tokio::time::timeout(LIMIT, ask(address, is_encrypted, host)).await;
    asked.context("it does not answer in time")?
}

async fn ask(address: SocketAddr, is_encrypted: bool, host: &str) -> anyhow::Result<IceConfig> {
    let stream: Box<dyn Stream> = if is_encrypted {
        // It is on this machine, and its certificate has a check of its own.
        Box::new(Trust::Everybody.load()?.connect(&address.to_string()).await?)
    } else {
        Box::new(TcpStream::connect(address).await?)
    };
    let (mut socket, _) = client_async(format!("ws://{host}/ws"), stream).await?;
    let mut id = [0; 16];
    getrandom::fill(&mut id)?;
    let peer_id = PeerId::from_random_bytes(id);
    tell(&mut socket, &ClientMessage::Register { peer_id }).await?;
    tell(&mut socket, &ClientMessage::CreateRoom).await?;
    let ice = loop {
        let message = socket.next().await.context("it closes the connection")??;
        let Message::Text(text) = message else { continue };
        let message = ServerMessage::parse(text.as_str())?;
        if let ServerMessage::Error { message, .. } = message {
            bail!("it gives no room: {message}");
        }
        if let ServerMessage::RoomCreated { seat, .. } = message {
            break seat.ice;
        }
    };
    tell(&mut socket, &ClientMessage::Leave).await?;
    socket.close(None).await?;
    Ok(ice)
}

async fn tell(
    socket: &mut WebSocketStream<Box<dyn Stream>>,
    message: &ClientMessage,
) -> anyhow::Result<()> {
    Ok(socket.send(Message::text(serde_json::to_string(message)?)).await?)
}
