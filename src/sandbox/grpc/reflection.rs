//! `grpc.reflection.v1` and `v1alpha`, whose messages are alike: what grpcurl asks before it can call.

use http::Response;
use hyper::body::Incoming;
use prost::{Message, Oneof};
use tokio::sync::mpsc;

use super::descriptor::FILES;
use super::framing::{self, Code, Encoding, Messages};
use crate::sandbox::body::Body;

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, tag = "1")]
    host: String,
    #[prost(oneof = "Question", tags = "3, 4, 6, 7")]
    question: Option<Question>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Question {
    #[prost(string, tag = "3")]
    FileByName(String),
    #[prost(string, tag = "4")]
    FileContainingSymbol(String),
    #[prost(string, tag = "6")]
    AllExtensionNumbersOfType(String),
    #[prost(string, tag = "7")]
    ListServices(String),
}

#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(string, tag = "1")]
    valid_host: String,
    #[prost(message, optional, tag = "2")]
    original_request: Option<Request>,
    #[prost(oneof = "Reply", tags = "4, 6, 7")]
    reply: Option<Reply>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Reply {
    #[prost(message, tag = "4")]
    Files(Descriptors),
    #[prost(message, tag = "6")]
    Services(Services),
    #[prost(message, tag = "7")]
    Error(Refusal),
}

#[derive(Clone, PartialEq, Message)]
struct Descriptors {
    #[prost(bytes = "vec", repeated, tag = "1")]
    files: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Services {
    #[prost(message, repeated, tag = "1")]
    services: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Refusal {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// Answers question after question until the caller has no more.
pub(super) fn info(body: Incoming, encoding: Encoding) -> Response<Body> {
    let mut questions = Messages::of(body, encoding);
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok(Some(asked)) = questions.next::<Request>().await {
            let reply = asked.question.as_ref().map(reply);
            let answer = Answer { valid_host: asked.host.clone(), original_request: Some(asked), reply };
            if sender.send(Ok(framing::framed(&answer))).await.is_err() {
                return;
            }
        }
    });
    framing::streamed(Body::streamed(receiver))
}

fn reply(question: &Question) -> Reply {
    let file = match question {
        Question::FileByName(name) => FILES.iter().find(|file| file.name == name),
        Question::FileContainingSymbol(symbol) => FILES.iter().find(|file| file.defines(symbol)),
        Question::AllExtensionNumbersOfType(_) => None,
        Question::ListServices(_) => {
            let services =
                FILES.iter().map(|file| Service { name: format!("{}.{}", file.package, file.service) });
            return Reply::Services(Services { services: services.collect() });
        }
    };
    match file {
        Some(file) => Reply::Files(Descriptors { files: vec![file.bytes.clone()] }),
        None => Reply::Error(Refusal { code: Code::NotFound as i32, message: "not found".to_owned() }),
    }
}
