//! The peers as echo servers, each with a task per connection on one thread, as their examples do.

use std::error::Error;
use std::rc::Rc;

use fastwebsockets::{Frame, OpCode, Role, WebSocket};
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::echo::serve::listen;

/// fastwebsockets on tokio's current-thread runtime. The handshake is done by hand: it takes any transport.
pub(crate) fn fastwebsockets() -> Result<(), Box<dyn Error>> {
    let listener = listen()?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::task::spawn_local(async move {
                // A connection that fails is over.
                let _ = fastwebsocket(stream).await;
            });
        }
    })
}

async fn fastwebsocket(mut stream: tokio::net::TcpStream) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let accept = tethered_core::ws::accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
    stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n").await?;
    stream.write_all(&[b"Sec-WebSocket-Accept: ", &accept[..], b"\r\n\r\n"].concat()).await?;
    drop(head);
    let mut socket = WebSocket::after_handshake(stream, Role::Server);
    socket.set_writev(true);
    socket.set_auto_close(true);
    socket.set_auto_pong(true);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            // As it came it would go out with the client's mask in its head.
            OpCode::Text | OpCode::Binary => {
                socket.write_frame(Frame::new(frame.fin, frame.opcode, None, frame.payload)).await?;
            }
            _ => {}
        }
    }
}

/// async-tungstenite on smol's executor.
pub(crate) fn async_tungstenite() -> Result<(), Box<dyn Error>> {
    let listener = listen()?;
    let executor = Rc::new(smol::LocalExecutor::new());
    smol::block_on(executor.clone().run(async {
        let listener = smol::Async::new(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.get_ref().set_nodelay(true)?;
            executor
                .spawn(async move {
                    let Ok(mut socket) = async_tungstenite::accept_async(stream).await else { return };
                    while let Some(Ok(message)) = socket.next().await {
                        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                            return;
                        }
                    }
                })
                .detach();
        }
    }))
}
