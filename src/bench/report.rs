//! A measurement as one page for a browser: everything is in it, and it asks nobody for anything.

use serde_json::{Value, json};

use super::latencies::Latencies;
use super::result::Measurement;
use super::table::title;

const PAGE: &str = include_str!("report/page.html");
const STYLE: &str = include_str!("report/style.css");
const SCRIPT: &str = include_str!("report/script.js");

/// The page, as HTML.
pub fn report(measurement: &Measurement) -> String {
    // Inside a script element nothing but `</` and `<!--` would end it.
    let data = view(measurement).to_string().replace('<', "\\u003c");
    PAGE.replace("/*style*/", STYLE).replace("/*script*/", SCRIPT).replace("/*data*/", &data)
}

/// What the page's script draws: the measurement, with curves instead of histograms.
fn view(measurement: &Measurement) -> Value {
    let mut whole = serde_json::to_value(measurement).unwrap_or_default();
    for (series, drawn) in measurement.series.iter().zip(whole["series"].as_array_mut().into_iter().flatten())
    {
        drawn["title"] = title(series).into();
        for (target, drawn) in
            series.targets.iter().zip(drawn["targets"].as_array_mut().into_iter().flatten())
        {
            let mut all = Latencies::default();
            target.latencies.iter().for_each(|round| all.add(round));
            drawn["latencies"] = Value::Null;
            drawn["curve"] = curve(&all);
        }
    }
    whole
}

/// Latency in microseconds by how many of ten, a hundred, a thousand… take longer: ten points for each digit.
fn curve(latencies: &Latencies) -> Value {
    let point = |at: u32| {
        let beyond = 10_f64.powf(-f64::from(at) / 10.0);
        (beyond * latencies.count() as f64 >= 1.0)
            .then(|| json!([beyond, latencies.quantile(1.0 - beyond).as_secs_f64() * 1e6]))
    };
    (0..70).map_while(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::result::Setup;

    #[test]
    fn a_page_asks_nobody_for_anything_and_cannot_be_broken_out_of() {
        let setup =
            Setup { command: "bench </script><script>alert(1)</script>".to_owned(), ..Setup::default() };
        let page = report(&Measurement { setup, ..Measurement::default() });
        assert!(!page.contains("alert(1)</script>"));
        assert!(!page.contains("src=") && !page.contains("@import") && !page.contains("href=\"http"));
        assert!(!page.contains("/*data*/") && !page.contains("/*style*/") && !page.contains("/*script*/"));
    }

    #[test]
    fn a_curve_goes_as_far_as_there_are_requests() {
        let mut latencies = Latencies::default();
        (1..=1000).for_each(|micros| latencies.record(std::time::Duration::from_micros(micros)));
        let curve = curve(&latencies);
        let points = curve.as_array().expect("points");
        assert_eq!(points.len(), 31);
        assert!((points[10][1].as_f64().expect("number") - 900.0).abs() < 2.0, "{curve}");
    }
}
