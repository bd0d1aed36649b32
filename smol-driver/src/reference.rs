//! The demo as the server's application.

use std::sync::Arc;

use tethered_core::hub::{Delivery, Request, Response};
use tethered_core::ids::{ClientId, SocketId};
use tethered_core::session::Cause;
use tethered_smol::demo::{Demo, Reply};
use tethered_smol::{Application, Context};

/// The demo. Passwords are checked on other threads.
pub(crate) struct Reference {
    demo: Demo,
}

impl Reference {
    pub(crate) fn new(demo: Demo) -> Self {
        Self { demo }
    }
}

impl Application for Reference {
    fn request(&mut self, cx: &mut Context<'_, Self>, socket: SocketId, request: Request) -> Option<Response> {
        match self.demo.request(cx.now(), &mut fill, &request) {
            Reply::Ready(response) => Some(*response),
            Reply::Verify(verify) => {
                let handle = cx.handle().clone();
                let check = move || {
                    let verified = verify.run();
                    // Where the server has stopped nobody waits for this any more.
                    let _ = handle.reply(move |reference, cx| {
                        let response = reference.demo.verified(&mut fill, verified);
                        cx.respond(socket, response);
                    });
                };
                smol::unblock(check).detach();
                None
            }
        }
    }

    fn deliver(&mut self, cx: &mut Context<'_, Self>, client: ClientId, delivery: Delivery) {
        let now = cx.now();
        self.demo.deliver(cx.hub(), now, client, &delivery);
    }

    fn joined(&mut self, cx: &mut Context<'_, Self>, _: ClientId, principal: Option<Arc<str>>) {
        let now = cx.now();
        self.demo.joined(cx.hub(), now, principal.as_ref());
    }

    fn left(&mut self, cx: &mut Context<'_, Self>, _: ClientId, _: Cause, principal: Option<Arc<str>>) {
        let now = cx.now();
        self.demo.left(cx.hub(), now, principal.as_ref());
    }
}

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes)
        .expect("INVARIANT: the system's random source worked at the start, and never fails after that");
}
