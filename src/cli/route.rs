//! `route`: which scope, upstream and audience a request would get, and why.

use std::process::ExitCode;

use clap::Args;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};
use serde_json::{Value, json};

use super::arguments::{ConfigArguments, Format, FormatArgument};
use super::{output, problems};
use crate::access::{Access, CallerDenial, Callers};
use crate::address::Address;
use crate::config::Settings;
use crate::listener;
use crate::message::request::Head;
use crate::proxy::{self, relay};
use crate::route::{self, Leg, RouteTable};

/// Explains where a request would go: scope, upstream URL and audience, or why it would be refused
#[derive(Debug, Args)]
pub(super) struct RouteCommand {
    /// The request's method: GET
    method: String,
    /// The request's path, or its whole URL at a listener: /operate/v1/process-instances/search
    url: String,
    /// Who makes it: the name of a [[caller]]. Without it, a key among the header fields tells
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    /// Header fields of the request: 'content-type: application/grpc'
    headers: Vec<String>,
    #[command(flatten)]
    config: ConfigArguments,
    #[command(flatten)]
    format: FormatArgument,
}

/// The arguments do not make a request.
const USAGE: u8 = 2;

impl RouteCommand {
    pub(super) fn run(&self) -> ExitCode {
        let format = self.format.format;
        let settings = match Settings::load(&self.config.sources()) {
            Ok(settings) => settings,
            Err(problems) => return problems::report(&problems, format),
        };
        let head = match self.request() {
            Ok(head) => head,
            Err(why) => {
                eprintln!("{why}");
                return ExitCode::from(USAGE);
            }
        };
        let decision = decide(&settings, &head, self.caller.as_deref());
        let (Ok(report) | Err(report)) = &decision;
        let printed = match format {
            Format::Json => output::print(format_args!("{report:#}\n")),
            Format::Text => output::print(told(report)),
        };
        if decision.is_ok() { printed } else { ExitCode::FAILURE }
    }

    /// The head that a listener would see.
    fn request(&self) -> Result<Head, String> {
        let method: Method =
            self.method.to_uppercase().parse().map_err(|_| format!("`{}` is not a method", self.method))?;
        let uri: Uri = self.url.parse().map_err(|_| {
            "this is not a URL or a path: write /operate/v1/… or http://localhost:8080/operate/v1/…"
                .to_owned()
        })?;
        let host = uri.authority().map_or("localhost", |authority| authority.as_str());
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let mut request =
            Request::builder().method(method).uri(target).version(Version::HTTP_11).header(HOST, host);
        for text in &self.headers {
            let invalid = || format!("`{text}` is not a header field: write 'name: value'");
            let (name, value) = text.split_once(':').ok_or_else(invalid)?;
            let name: HeaderName = name.trim().parse().map_err(|_| invalid())?;
            let value: HeaderValue = value.trim().parse().map_err(|_| invalid())?;
            if name == HOST
                && let Some(headers) = request.headers_mut()
            {
                headers.remove(HOST);
            }
            request = request.header(name, value);
        }
        let request = request.body(()).map_err(|error| error.to_string())?;
        Ok(request.into())
    }
}

/// A line for each fact.
fn told(report: &Value) -> String {
    let facts = report.as_object().into_iter().flatten();
    let line = |(key, value): (&String, &Value)| {
        format!("{key:10} {}\n", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    facts.map(line).collect()
}

fn decide(settings: &Settings, head: &Head, caller: Option<&str>) -> Result<Value, Value> {
    let refused = |error: proxy::Error| json!({ "refused": error.reason.name(), "why": error.detail });
    let listener = listener_of(settings, head);
    let access = Access::new(&settings.config.access, &listener.address);
    let access =
        access.map_err(|mistakes| json!({ "refused": "configuration", "why": mistakes.join("; ") }))?;
    let requested = route::target(head).map_err(|refusal| refused(refusal.into()))?;
    access.admit(head, None).map_err(|denial| refused(denial.into()))?;
    if relay::is_asked(requested.path()) {
        let mode = settings.config.relay.mode.on(&listener.address);
        relay::admit(mode, &head.method).map_err(refused)?;
        return Ok(json!({
            "relay": mode,
            "why": "POST /oauth/token is answered here and goes nowhere",
            "listener": listener.address.to_string(),
        }));
    }
    let callers = Callers::new(&settings.config.caller).unwrap_or_default();
    let caller = match caller {
        Some(name) => Some(callers.named(name).ok_or_else(|| refused(no_such_caller(name)))?),
        None => callers.of_head(&head.headers),
    };
    if caller.is_none() && !settings.config.anonymous.may_come_in_at(&listener.address) {
        return Err(refused(CallerDenial::Unknown.into()));
    }
    let table = RouteTable::new(settings.credentials.cluster_id.clone());
    let grpc = route::is_grpc(&head.headers);
    let route = table
        .find(&head.method, requested.as_str(), grpc, listener.scope, listener.secrets)
        .map_err(|refusal| refused(refusal.into()))?;
    if let Some(caller) = caller {
        let method = if route.leg == Leg::Grpc { "POST" } else { head.method.as_str() };
        let judged = caller.may(route.scope, method, route.path);
        judged.map_err(|denial| refused(denial.into()))?;
    }
    let scope = settings.scopes.get(&route.scope);
    let scope = scope.ok_or_else(|| refused(proxy::Error::scope_not_granted(route.scope)))?;
    let address = match route.leg {
        Leg::Grpc => scope.grpc_address.as_ref(),
        Leg::Rest => scope.address.as_ref(),
    };
    let address = address.ok_or_else(|| refused(proxy::Error::no_address(route.scope, route.leg)))?;
    let base = if route.leg == Leg::Grpc { "" } else { &address.base_path };
    let path = route.upstream_path(base, requested).map_err(|refusal| refused(refusal.into()))?;
    let explanation = route.explain();
    Ok(json!({
        "scope": route.scope.name(),
        "upstream": format!("{}://{}{path}", address.scheme(), address.authority()),
        "audience": scope.audience,
        "why": explanation.rule,
        "leg": explanation.leg,
        "prefix": explanation.prefix,
        "listener": listener.address.to_string(),
        "caller": caller.map(|caller| caller.name()),
    }))
}

fn no_such_caller(name: &str) -> proxy::Error {
    CallerDenial::Denied(format!("there is no `[[caller]]` of the name `{name}`")).into()
}

/// The listener with the port that the request names, or else the first.
fn listener_of<'a>(settings: &'a Settings, head: &Head) -> &'a listener::Config {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let port: Option<u16> = host.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let has_port = |listener: &&listener::Config| matches!((&listener.address, port), (Address::Tcp(address), Some(port)) if address.port() == port);
    settings.listeners.iter().find(has_port).unwrap_or(&settings.listeners[0])
}
