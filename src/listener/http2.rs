//! A caller's HTTP/2 connection: one task moves octets between its socket and its state, and each request has another.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connection::{LINGER, LINGERING, Shared};
use super::watch::{Order, Watched};
use crate::http2::{self, Failure, Fault, Opened, Place};
use crate::io::{Io, Replayed};
use crate::proxy::Connection;

mod exchange;

use exchange::Exchange;

/// Room for what is read at a time, and how little of it may be left.
const READ: usize = 64 * 1024;
const READ_LEAST: usize = 8 * 1024;

/// Serves the connection until it ends, whoever ends it.
pub(super) async fn serve(worker: &Shared, connection: &Rc<Connection>, watched: &Watched, io: Replayed<Io>) {
    let limits = &worker.limits;
    let state = Rc::new(RefCell::new(http2::Connection::server(limits.streams, limits.head_size)));
    let mut driver = Driver { worker, connection, watched, state, io, unfinished: Box::default() };
    let end = poll_fn(|cx| driver.poll(cx)).await;
    driver.part(end).await;
}

/// How a connection ended.
enum End {
    /// Its last stream is over, after it was told to finish.
    Finished,
    /// The caller breaks the rules.
    Fault(Fault),
    /// The caller left, or the connection was cut.
    Lost,
}

struct Driver<'a> {
    worker: &'a Shared,
    connection: &'a Rc<Connection>,
    watched: &'a Watched,
    state: http2::Shared,
    io: Replayed<Io>,
    /// What was read of a frame that is not here in full. No more than that: whoever sends pieces of frames and leaves
    /// it at that must not hold on to a buffer.
    unfinished: Box<[u8]>,
}

impl Driver<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        while let Some(order) = self.watched.poll_order(cx) {
            match order {
                Order::Cut => return Poll::Ready(End::Lost),
                Order::Finish => self.state.borrow_mut().finish(),
                Order::Ask => self.state.borrow_mut().ping(),
            }
        }
        self.state.borrow_mut().watch(cx);
        let mut buffer = self.worker.spare.take();
        buffer.extend_from_slice(&std::mem::take(&mut self.unfinished));
        let polled = self.poll_io(&mut buffer, cx);
        if !buffer.is_empty() {
            self.unfinished = buffer[..].into();
            buffer.clear();
        }
        self.worker.spare.set(buffer);
        polled
    }

    fn poll_io(&mut self, buffer: &mut BytesMut, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let (written, over, overrun) = {
                let mut state = self.state.borrow_mut();
                let written = state.poll_write(&mut self.io, cx);
                (written, state.is_over(), state.is_overrun())
            };
            match written {
                Poll::Ready(Err(_)) => return Poll::Ready(End::Lost),
                Poll::Ready(Ok(())) if over => return Poll::Ready(End::Finished),
                // Who asks and does not read is not listened to meanwhile.
                Poll::Pending if overrun => return Poll::Pending,
                _ => {}
            }
            if buffer.capacity() - buffer.len() < READ_LEAST {
                buffer.reserve(READ);
            }
            match std::task::ready!(pin!(self.io.read_buf(buffer)).poll(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(End::Lost),
                Ok(_) => {}
            }
            let received = self.state.borrow_mut().receive(buffer);
            self.watched.heard(self.state.borrow().is_ponged());
            self.begin_exchanges();
            if let Err(fault) = received {
                return Poll::Ready(End::Fault(fault));
            }
        }
    }

    fn begin_exchanges(&self) {
        loop {
            let opened = self.state.borrow_mut().accept();
            let Some(Opened { stream, head }) = opened else { return };
            let place = Place::new(Rc::clone(&self.state), stream);
            let (proxy, connection) = (Rc::clone(&self.worker.proxy), Rc::clone(self.connection));
            tokio::task::spawn_local(Exchange::new(place, head, proxy, connection));
        }
    }

    /// Ends every stream, and tells the caller why when that is its fault.
    async fn part(mut self, end: End) {
        let failure = match &end {
            End::Fault(fault) => Failure::from(*fault),
            End::Finished | End::Lost => Failure::lost("the caller's connection ended"),
        };
        self.state.borrow_mut().end(&failure);
        if let End::Fault(fault) = end {
            tracing::debug!(
                target: "listener",
                listener = self.connection.door.name,
                cause = %failure,
                "an HTTP/2 connection was ended"
            );
            self.state.borrow_mut().say_goodbye(fault.code);
        }
        if let End::Finished | End::Fault(_) = end {
            let _ = tokio::time::timeout(LINGER, self.say_the_last()).await;
        }
    }

    /// What the caller still sends is read for a while: closed upon unread octets, the connection would be reset, and
    /// the last words could be lost on their way.
    async fn say_the_last(&mut self) {
        let state = Rc::clone(&self.state);
        let _ = poll_fn(|cx| state.borrow_mut().poll_write(&mut self.io, cx)).await;
        if self.io.shutdown().await.is_ok() {
            let (mut unread, mut nowhere) = ((&mut self.io).take(LINGERING as u64), tokio::io::sink());
            let _ = tokio::io::copy(&mut unread, &mut nowhere).await;
        }
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        // After a panic, too: nobody else would tell the streams.
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.end(&Failure::lost("the caller's connection ended"));
        }
    }
}
