//! Memory, descriptors and latency over time. A slope is that of the straight line with the least squares.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Of the time, what is left out at the beginning: lists, caches and the allocator fill up.
const WARM_UP: f64 = 0.4;

/// Growth of the sandbox's memory, and of that of a function's process, in MiB a minute. It grew by 23 while
/// the models kept records for nobody, at 150 records a second, and by 2 without that.
const MAX_SANDBOX_GROWTH: f64 = 20.0;
const MAX_FUNCTION_GROWTH: f64 = 5.0;

/// In a run of fewer minutes lists, caches and pools of connections still fill, and the bounds are so many times as
/// high: what was not bounded grew by a gigabyte a minute.
const STEADY_MINUTES: f64 = 10.0;
const FILLING: f64 = 10.0;

/// Descriptors a minute, likewise. Their number changes with the calls that hang.
const MAX_DESCRIPTORS_GROWTH: f64 = 30.0;

const MIB: f64 = 1_048_576.0;

/// A value at a time, in minutes since the beginning.
type Point = (f64, f64);
type Series = Vec<Point>;

#[derive(Debug, Default)]
struct Inner {
    sandbox_memory: Series,
    sandbox_descriptors: Series,
    function_memory: Series,
    function_descriptors: Series,
    /// Milliseconds of each request.
    latency: Series,
}

/// What was measured.
#[derive(Debug)]
pub(super) struct Gauge {
    started: Instant,
    minutes: f64,
    inner: Mutex<Inner>,
}

impl Gauge {
    /// Measures from now on for this long.
    pub(super) fn new(duration: Duration) -> Self {
        let minutes = duration.as_secs_f64() / 60.0;
        Self { started: Instant::now(), minutes, inner: Mutex::default() }
    }

    fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64() / 60.0
    }

    /// A request was answered.
    pub(super) fn answered(&self, took: Duration) {
        let now = self.now();
        self.inner.lock().unwrap().latency.push((now, took.as_secs_f64() * 1_000.0));
    }

    /// Looks at the processes.
    pub(super) fn sample(&self, sandbox: u32, state: &Value) {
        let now = self.now();
        if now > self.minutes {
            return;
        }
        let functions = state["functions"].as_object().unwrap().values();
        let pids = functions.flat_map(|function| function["pids"].as_array().unwrap());
        let processes: Vec<(f64, f64)> = pids.filter_map(|pid| taken(&pid.to_string())).collect();
        let number = f64::from(u32::try_from(processes.len().max(1)).unwrap());
        let mut inner = self.inner.lock().unwrap();
        if let Some((memory, descriptors)) = taken(&sandbox.to_string()) {
            inner.sandbox_memory.push((now, memory));
            inner.sandbox_descriptors.push((now, descriptors));
        }
        let sum = |of: fn(&(f64, f64)) -> f64| processes.iter().map(of).sum::<f64>() / number;
        inner.function_memory.push((now, sum(|process| process.0)));
        inner.function_descriptors.push((now, sum(|process| process.1)));
    }

    fn rows(&self) -> Vec<Row> {
        let inner = self.inner.lock().unwrap();
        let warm = |series: &[Point]| -> Series {
            let warm = self.minutes * WARM_UP;
            series.iter().copied().filter(|(at, _)| (warm..=self.minutes).contains(at)).collect()
        };
        let (median, slow) = percentiles(&warm(&inner.latency));
        let rate = per_second(&inner.latency, self.minutes);
        let allowance = if self.minutes >= STEADY_MINUTES { 1.0 } else { FILLING };
        let row = |name, series: &[Point], bound: f64| {
            Row::new(name, &warm(series), Some(bound * allowance))
        };
        vec![
            row("memory of the sandbox, MiB", &inner.sandbox_memory, MAX_SANDBOX_GROWTH),
            row("descriptors of the sandbox", &inner.sandbox_descriptors, MAX_DESCRIPTORS_GROWTH),
            row("memory of a function's process, MiB", &inner.function_memory, MAX_FUNCTION_GROWTH),
            row(
                "descriptors of a function's process",
                &inner.function_descriptors,
                MAX_DESCRIPTORS_GROWTH,
            ),
            Row::new("HTTP requests a second", &warm(&rate), None),
            Row::new("latency, median of ten seconds, ms", &median, None),
            Row::new("latency, 99th percentile of ten seconds, ms", &slow, None),
        ]
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut table =
            "| | first third | last third | slope a minute | allowed |\n|---|---|---|---|---|\n"
                .to_owned();
        for Row { name, first, last, slope, bound } in self.rows() {
            let bound = bound.map_or_else(String::new, |bound| format!("{bound}"));
            writeln!(table, "| {name} | {first:.1} | {last:.1} | {slope:+.2} | {bound} |").unwrap();
        }
        table
    }

    /// Fails where something grows too fast.
    pub(super) fn check(&self) {
        for Row { name, slope, bound, .. } in self.rows() {
            assert!(
                bound.is_none_or(|bound| slope <= bound),
                "{name} grows by {slope:.2} a minute"
            );
        }
    }
}

struct Row {
    name: &'static str,
    /// Means.
    first: f64,
    last: f64,
    slope: f64,
    bound: Option<f64>,
}

impl Row {
    fn new(name: &'static str, series: &[Point], bound: Option<f64>) -> Self {
        let third = series.len().div_ceil(3);
        let (first, last) = (mean(&series[..third]), mean(&series[series.len() - third..]));
        Self { name, first, last, slope: slope(series), bound }
    }
}

/// Resident memory in MiB and open descriptors of a process, if it is there.
fn taken(pid: &str) -> Option<(f64, f64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    Some((kilobytes * 1_024.0 / MIB, f64::from(u32::try_from(descriptors).ok()?)))
}

fn mean(series: &[Point]) -> f64 {
    let number = u32::try_from(series.len()).unwrap();
    series.iter().map(|(_, value)| value).sum::<f64>() / f64::from(number.max(1))
}

fn slope(series: &[Point]) -> f64 {
    let number = f64::from(u32::try_from(series.len()).unwrap());
    let middle = series.iter().map(|(at, _)| at).sum::<f64>() / number.max(1.0);
    let value = mean(series);
    let (mut above, mut below) = (0.0, 0.0);
    for (at, own) in series {
        above += (at - middle) * (own - value);
        below += (at - middle) * (at - middle);
    }
    if below > 0.0 { above / below } else { 0.0 }
}

/// The values in windows of ten seconds.
fn windows(series: &[Point]) -> Vec<(f64, Vec<f64>)> {
    let mut windows: Vec<(f64, Vec<f64>)> = Vec::new();
    for (at, value) in series {
        let window = (at * 6.0).floor() / 6.0;
        match windows.last_mut() {
            Some((own, values)) if *own >= window => values.push(*value),
            _ => windows.push((window, vec![*value])),
        }
    }
    windows
}

/// Median and 99th percentile of each window.
fn percentiles(series: &[Point]) -> (Series, Series) {
    let of_window = |(at, mut values): (f64, Vec<f64>)| {
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        ((at, values[last / 2]), (at, values[last * 99 / 100]))
    };
    windows(series).into_iter().map(of_window).unzip()
}

/// Requests a second in each whole window.
fn per_second(series: &[Point], minutes: f64) -> Series {
    let rate = |(at, values): (f64, Vec<f64>)| {
        (at, f64::from(u32::try_from(values.len()).unwrap()) / 10.0)
    };
    let whole = |(at, _): &(f64, f64)| at + 1.0 / 6.0 <= minutes;
    windows(series).into_iter().map(rate).filter(whole).collect()
}

#[test]
fn a_slope_is_what_a_value_grows_by_in_a_minute() {
    let series = [(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)];
    assert!((slope(&series) - 2.0).abs() < 1e-9);
    assert!(slope(&[(1.0, 7.0)]).abs() < 1e-9);
}
