//! `/metrics`: the workers' counters and the tokens' state in the Prometheus text format.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::{ScopeState, State};
use crate::metrics::{Counts, PREFIX, Requests};
use crate::oauth::{Measured, State as TokenState, Status, StoreStatus};
use crate::scope::Scope;

pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics as text.
pub(super) fn encode(state: &State) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Requests(state.shards.iter().map(Arc::clone).collect())));
    let scopes = state.scopes.load();
    let token = |(scope, state): (&Scope, &ScopeState)| Token {
        scope: *scope,
        status: state.tokens.status(),
        measured: state.tokens.measured(),
    };
    let tokens = scopes.iter().map(token).collect();
    registry.register_collector(Box::new(Tokens(tokens)));
    if let Some(store) = state.tokens.store() {
        registry.register_collector(Box::new(Store(store)));
    }
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

/// One scope's token.
#[derive(Debug)]
struct Token {
    scope: Scope,
    status: Status,
    /// Absent where nobody is asked for it.
    measured: Option<Measured>,
}

#[derive(Debug)]
struct Tokens(Vec<Token>);

impl Tokens {
    fn counters(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Token requests made, by outcome. Scopes with the same token request share it";
        let mut metric = encoder.encode_descriptor("token_requests", help, None, MetricType::Counter)?;
        for Token { scope, status, measured } in &self.0 {
            let made = &status.requests;
            for (outcome, reason, count) in [
                ("ok", "", made.ok),
                ("error", "transient", made.transient),
                ("error", "rate_limited", made.rate_limited),
                ("error", "rejected", made.rejected),
                ("error", "malformed", made.malformed),
            ] {
                let labels = [
                    ("scope", scope.name()),
                    ("idp", measured.as_ref().map_or("", |measured| &measured.host)),
                    ("outcome", outcome),
                    ("reason", reason),
                ];
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        Ok(())
    }

    fn histograms(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut of = |name: &str, help: &str, series: Vec<(Vec<(&str, &str)>, &Counts)>| -> fmt::Result {
            let seconds = Some(&Unit::Seconds);
            let mut metric = encoder.encode_descriptor(name, help, seconds, MetricType::Histogram)?;
            for (labels, counts) in series {
                metric.encode_family(&labels.as_slice())?.encode_histogram::<NoLabelSet>(
                    counts.sum,
                    counts.total(),
                    &counts.buckets,
                    None,
                )?;
            }
            Ok(())
        };
        let durations = self.measured().flat_map(|(scope, measured)| {
            let series = |outcome, counts| (vec![("scope", scope.name()), ("outcome", outcome)], counts);
            [series("ok", &measured.ok), series("error", &measured.error)]
        });
        of("token_request_duration", "How long token requests took", durations.collect())?;
        let waits = self.measured().map(|(scope, measured)| (vec![("scope", scope.name())], &measured.waits));
        of("token_wait", "How long requests waited for a token", waits.collect())?;
        let budgets =
            self.hosts().into_iter().map(|(host, measured)| (vec![("idp", host)], &measured.budget_waits));
        of(
            "token_budget_wait",
            "How long token requests waited for their turn at the token host",
            budgets.collect(),
        )
    }

    fn budgets(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Token requests that may start now: one a second, none while the token host wants to be left alone";
        let mut metric =
            encoder.encode_descriptor("token_budget_remaining", help, None, MetricType::Gauge)?;
        for (host, measured) in self.hosts() {
            metric.encode_family(&[("idp", host)])?.encode_gauge(&i64::from(measured.budget_free))?;
        }
        Ok(())
    }

    /// Each token host once, whichever scope's token comes from it.
    fn hosts(&self) -> BTreeMap<&str, &Measured> {
        self.measured().map(|(_, measured)| (measured.host.as_str(), measured)).collect()
    }

    fn measured(&self) -> impl Iterator<Item = (Scope, &Measured)> {
        self.0.iter().filter_map(|token| Some((token.scope, token.measured.as_ref()?)))
    }

    fn states(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "1 for the state that the scope's token is in";
        let mut metric = encoder.encode_descriptor("token_state", help, None, MetricType::Gauge)?;
        for Token { scope, status, .. } in &self.0 {
            for state in TokenState::ALL {
                let labels = [("scope", scope.name()), ("state", state.name())];
                let value = i64::from(status.state == state);
                metric.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    fn gauges(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: impl Fn(&Status) -> Option<f64>,
    ) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for Token { scope, status, .. } in &self.0 {
            if let Some(value) = value(status) {
                metric.encode_family(&[("scope", scope.name())])?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }
}

impl Collector for Tokens {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        self.counters(encoder)?;
        self.states(encoder)?;
        let seconds = Some(&Unit::Seconds);
        self.gauges(encoder, "token_expiry_timestamp", "The token's end", seconds, |s| unix(s.expires_at))?;
        self.gauges(
            encoder,
            "token_last_success_timestamp",
            "When the last token was obtained",
            seconds,
            |s| unix(s.obtained_at),
        )?;
        self.gauges(
            encoder,
            "token_next_attempt_timestamp",
            "When the next token request is due",
            seconds,
            |s| unix(s.next_attempt),
        )?;
        self.gauges(encoder, "token_waiters", "Requests that wait for a token", None, |s| {
            Some(s.waiters as f64)
        })?;
        self.histograms(encoder)?;
        self.budgets(encoder)?;
        let mut metric = encoder.encode_descriptor("build", "The running version", None, MetricType::Info)?;
        metric.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    }
}

/// A timestamp and not an age, so that it stays true between scrapes.
fn unix(time: Option<SystemTime>) -> Option<f64> {
    Some(time?.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
}

/// The store that tokens are shared through.
#[derive(Debug)]
struct Store(StoreStatus);

impl Collector for Store {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Store(status) = self;
        let kind = [("kind", status.kind)];
        let help = "Whether the store that tokens are shared through works";
        let mut metric = encoder.encode_descriptor("store_up", help, None, MetricType::Gauge)?;
        metric.encode_family(&kind)?.encode_gauge(&i64::from(status.state == "up"))?;
        let help = "Operations of the store, by outcome";
        let mut metric = encoder.encode_descriptor("store_operations", help, None, MetricType::Counter)?;
        for (outcome, count) in [("ok", status.ok), ("error", status.failed), ("timeout", status.timed_out)] {
            let labels = [("kind", status.kind), ("outcome", outcome)];
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }
}
