//! Why the proxy answered by itself. The same words label answers, logs, metrics and status.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why the proxy, and not the upstream, answered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// All reasons, in the order of their declaration.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant),*];

            /// The word that stands for it everywhere.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name),* }
            }
        }
    };
}

reasons! {
    /// No token yet, and the request has waited long enough.
    TokenPending = "token_pending",
    /// The token endpoint cannot be reached or does not answer usefully.
    TokenEndpointUnavailable = "token_endpoint_unavailable",
    /// The token endpoint wants no requests for a while.
    TokenRateLimited = "token_rate_limited",
    /// The token endpoint refuses the client id and secret.
    CredentialsRejected = "credentials_rejected",
    /// The credentials do not grant the request's scope.
    ScopeNotGranted = "scope_not_granted",
    /// Nothing in the route table matches.
    NoRoute = "no_route",
    /// The caller did not say who it is.
    CallerUnknown = "caller_unknown",
    /// The caller may not do this.
    CallerDenied = "caller_denied",
    /// `Host` or `:authority` names somebody else.
    HostDenied = "host_denied",
    /// A web page of another origin is asking.
    OriginDenied = "origin_denied",
    /// No connection to the upstream.
    UpstreamConnect = "upstream_connect",
    /// The upstream broke the exchange off.
    UpstreamReset = "upstream_reset",
    /// The upstream did not answer in time.
    UpstreamTimeout = "upstream_timeout",
    /// A limit of this process is reached.
    Overloaded = "overloaded",
    /// This process is about to stop.
    Draining = "draining",
    /// A limit of this caller is reached.
    QuotaExceeded = "quota_exceeded",
    /// Framing, target or headers are wrong.
    Malformed = "malformed",
    /// The method is never forwarded.
    MethodRefused = "method_refused",
    /// The request has come through this proxy too often.
    LoopDetected = "loop_detected",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
