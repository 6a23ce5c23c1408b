//! Calls and what comes of them, for whoever is compared with the `h2` crate: the same calls to the same server, or from
//! the same client, must look alike to both sides.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};

/// What a call sends, and what the server is to do with it: it reads that from the path.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// `None` for a head alone.
    pub(crate) body: Option<Vec<usize>>,
    pub(crate) request_trailers: bool,
    /// Answers before it reads.
    pub(crate) early: bool,
    pub(crate) chunks: Vec<usize>,
    pub(crate) end: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    Clean,
    Trailers,
    /// A head alone.
    Alone,
    Reset(u32),
}

/// What a client was told.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) head: Option<(u16, Vec<(String, String)>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<Vec<(String, String)>>,
    pub(crate) reset: Option<u32>,
}

pub(crate) fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| value.to_str().expect("text").to_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

pub(crate) fn octets(n: usize, length: usize) -> Bytes {
    (0..length).map(|at| ((at * 7 + n) % 251) as u8).collect::<Vec<_>>().into()
}

impl Call {
    fn random(random: &mut fastrand::Rng) -> Call {
        let sizes = [0, 1, 100, 1000, 16_384, 16_385, 70_000];
        let mut pieces =
            |most: usize| (0..random.usize(0..=most)).map(|_| sizes[random.usize(0..sizes.len())]).collect();
        let (body, chunks) = (pieces(4), pieces(4));
        Call {
            body: random.bool().then_some(body),
            request_trailers: random.bool(),
            early: random.bool(),
            chunks,
            end: match random.u8(0..6) {
                0 => Ending::Clean,
                1 => Ending::Alone,
                2 => Ending::Reset([0, 2, 8, 11][random.usize(0..4)]),
                _ => Ending::Trailers,
            },
        }
    }

    pub(crate) fn head(&self, n: usize) -> Request<()> {
        let mut head = Request::post(format!("http://peer.example:1/call/{n}"))
            .header("authorization", "Bearer token")
            .header("content-type", ["application/grpc", "application/json"][n % 2])
            .header("user-agent", format!("client/{}", n % 7))
            .header("x-n", n.to_string());
        for n in 0..n % 4 {
            head = head.header("cookie", format!("a{n}=b"));
        }
        if n.is_multiple_of(50) {
            head = head.header("x-long", "l".repeat(40_000));
        }
        head.body(()).expect("a head")
    }
}

pub(crate) async fn serve(stream: TcpStream, calls: Rc<Vec<Call>>, windows: (u32, u32, u32)) {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(windows.0)
        .initial_connection_window_size(windows.1)
        .max_frame_size(windows.2);
    builder.max_header_list_size(1 << 20);
    let mut connection = builder.handshake(stream).await.expect("a connection");
    while let Some(next) = connection.accept().await {
        let (request, respond) = next.expect("a connection that ends in good order");
        let calls = Rc::clone(&calls);
        tokio::task::spawn_local(async move { answer(request, respond, &calls).await });
    }
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    calls: &[Call],
) {
    let n: usize = request.uri().path().rsplit('/').next().expect("a number").parse().expect("a number");
    let call = &calls[n];
    let mut head = Response::builder().status([200, 201, 206, 404, 503][n % 5]).header("x-n", n.to_string());
    // The head as it arrived, the token among it.
    for (name, value) in fields(request.headers()) {
        if value.len() < 1000 {
            head = head.header(format!("seen-{name}"), value);
        }
    }
    head = head.header("seen-uri", request.uri().to_string());
    let mut body = request.into_body();
    if !call.early {
        head = head.header("seen-body", read(&mut body).await);
    }
    let head = head.body(()).expect("a head");
    if call.end == Ending::Alone {
        let _ = respond.send_response(head, true);
        read(&mut body).await;
        return;
    }
    let mut sending = respond.send_response(head, false).expect("sent");
    for chunk in &call.chunks {
        let mut chunk = octets(n, *chunk);
        while !chunk.is_empty() {
            sending.reserve_capacity(chunk.len());
            let Some(Ok(capacity)) = std::future::poll_fn(|cx| sending.poll_capacity(cx)).await else {
                return;
            };
            let _ = sending.send_data(chunk.split_to(capacity.min(chunk.len())), false);
        }
    }
    let seen = if call.early { read(&mut body).await } else { String::new() };
    match call.end {
        Ending::Clean => drop(sending.send_data(Bytes::new(), true)),
        Ending::Reset(code) => {
            // Not before what was sent is out, or it would be thrown away.
            tokio::time::sleep(Duration::from_millis(50)).await;
            sending.send_reset(code.into());
        }
        _ => {
            let mut trailers = HeaderMap::new();
            trailers.insert("seen-body", seen.parse().expect("a value"));
            let _ = sending.send_trailers(trailers);
        }
    }
}

/// Length, sum and trailers of a request's body.
async fn read(body: &mut h2::RecvStream) -> String {
    let (mut length, mut sum) = (0, 0u64);
    while let Some(data) = body.data().await {
        let Ok(data) = data else { return "broken".to_owned() };
        let _ = body.flow_control().release_capacity(data.len());
        length += data.len();
        sum = data.iter().fold(sum, |sum, octet| sum.wrapping_mul(31).wrapping_add(u64::from(*octet)));
    }
    let trailers = body.trailers().await.ok().flatten().map(|trailers| fields(&trailers));
    format!("{length} {sum} {trailers:?}")
}

pub(crate) async fn call_there(mut client: h2::client::SendRequest<Bytes>, n: usize, call: &Call) -> Told {
    let mut told = Told::default();
    client = client.ready().await.expect("a place");
    let (response, sending) = client.send_request(call.head(n), call.body.is_none()).expect("a stream");
    let sender = tokio::task::spawn_local(send_there(sending, n, call.clone()));
    match response.await {
        Ok(answer) => {
            told.head = Some((answer.status().as_u16(), fields(answer.headers())));
            let mut body = answer.into_body();
            while let Some(data) = body.data().await {
                match data {
                    Ok(data) => {
                        let _ = body.flow_control().release_capacity(data.len());
                        told.body.extend(data);
                    }
                    Err(error) => {
                        told.reset = error.reason().map(u32::from);
                        break;
                    }
                }
            }
            if told.reset.is_none() {
                match body.trailers().await {
                    Ok(trailers) => told.trailers = trailers.map(|trailers| fields(&trailers)),
                    Err(error) => told.reset = error.reason().map(u32::from),
                }
            }
        }
        Err(error) => told.reset = error.reason().map(u32::from),
    }
    sender.await.expect("sent");
    told
}

async fn send_there(mut sending: h2::SendStream<Bytes>, n: usize, call: Call) {
    for chunk in call.body.iter().flatten() {
        let mut chunk = octets(n, *chunk);
        while !chunk.is_empty() {
            sending.reserve_capacity(chunk.len());
            let Some(Ok(capacity)) = std::future::poll_fn(|cx| sending.poll_capacity(cx)).await else {
                return;
            };
            if sending.send_data(chunk.split_to(capacity.min(chunk.len())), false).is_err() {
                return;
            }
        }
    }
    if call.body.is_some() {
        let _ = match call.request_trailers {
            true => sending.send_trailers(trailers("x-end", "yes")),
            false => sending.send_data(Bytes::new(), true),
        };
    }
}

/// Both ends of a connection.
pub(crate) async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
    let (server, _) = listener.accept().await.expect("a connection");
    for end in [&client, &server] {
        end.set_nodelay(true).expect("a socket");
    }
    (client, server)
}

/// Calls and windows, as this seed has them: of a stream, of the connection, and the size of frames.
pub(crate) fn random(seed: u64) -> (Rc<Vec<Call>>, (u32, u32, u32)) {
    let mut random = fastrand::Rng::with_seed(seed);
    let calls = Rc::new((0..40).map(|_| Call::random(&mut random)).collect());
    let mut one_of = |values: [u32; 3]| values[random.usize(0..3)];
    let windows = (
        one_of([1000, 65_535, 1 << 20]),
        one_of([65_535, 100_000, 4 << 20]),
        one_of([16_384, 30_000, 1 << 20]),
    );
    (calls, windows)
}

/// Holds what two clients were told of the same calls, by their number, against each other.
pub(crate) fn compare(
    seed: u64,
    calls: &[Call],
    mut here: Vec<(usize, Told)>,
    mut there: Vec<(usize, Told)>,
) {
    here.sort_by_key(|(n, _)| *n);
    there.sort_by_key(|(n, _)| *n);
    for ((n, mut here), (_, mut there)) in here.into_iter().zip(there) {
        if let Ending::Reset(_) = calls[n].end {
            // The server throws away what it has not sent by then, which is more or less.
            let whole: Vec<u8> = calls[n].chunks.iter().flat_map(|chunk| octets(n, *chunk)).collect();
            for told in [&mut here, &mut there] {
                assert!(whole.starts_with(&std::mem::take(&mut told.body)));
            }
            if here.head.is_none() || there.head.is_none() {
                (here.head, there.head) = (None, None);
            }
        }
        assert!(here == there, "seed {seed}, {:?}:\n{}\n{}", calls[n], brief(&here), brief(&there));
    }
}

fn brief(told: &Told) -> String {
    format!("{:?}, {} octets, {:?}, reset {:?}", told.head, told.body.len(), told.trailers, told.reset)
}

pub(crate) fn trailers(name: &'static str, value: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(name, http::HeaderValue::from_static(value));
    trailers
}
