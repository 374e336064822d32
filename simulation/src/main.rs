//! `cargo run --release -p simulation -- --seed N` replays one story; `--seeds A..B` runs many.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use mimalloc::MiMalloc;
use simulation::shorten::shorten;
use simulation::{Cut, Guarantee, Sabotage, Story, Telling, run};

/// A seventh of a story's time goes to the allocator of the C library, a twentieth to this one.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Within this time of a recovery most of what waited is delivered.
const SOON: Duration = Duration::from_mins(15);

/// So many percent of it, where enough waited to tell.
const MOST: u64 = 90;
const ENOUGH: u64 = 500;

/// Simulates weeks of the system's life and judges them.
#[derive(Debug, Parser)]
struct Options {
    /// Replays the story of this seed.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Runs the stories of these seeds, e.g. 1..500, and prints how many broke each guarantee.
    #[arg(long, value_parser = seeds)]
    seeds: Option<Range<u64>>,
    /// Days of a story.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Ends every story with this day.
    #[arg(long, value_name = "DAY")]
    until: Option<u32>,
    /// Troubles that do not happen, by their numbers.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    without: Vec<usize>,
    /// Prints every step of one story.
    #[arg(long)]
    trace: bool,
    /// Looks at this guarantee only.
    #[arg(long, value_parser = guarantee)]
    guarantee: Option<Guarantee>,
    /// A deliberate defect, or `list`.
    #[arg(long)]
    sabotage: Option<String>,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text} is not of the form 1..500");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let number = |text: &str| text.parse().map_err(|_| wrong());
    Ok(number(from)?..number(to)?)
}

fn guarantee(text: &str) -> Result<Guarantee, String> {
    Guarantee::ALL.iter().copied().find(|one| one.name() == text).ok_or_else(|| {
        let names: Vec<&str> = Guarantee::ALL.iter().map(|one| one.name()).collect();
        format!("one of {} is expected", names.join(", "))
    })
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    if options.sabotage.as_deref() == Some("list") {
        let mut text = String::new();
        for one in Sabotage::ALL {
            writeln!(text, "{:18} {} (breaks {})", one.name(), one.does(), one.breaks().name())?;
        }
        std::io::stdout().lock().write_all(text.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (text, broken) = match (&options.seeds, options.seed) {
        (Some(seeds), _) => many(&options, seeds.clone())?,
        (None, seed) => one(&options, seed.unwrap_or(1))?,
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Options {
    fn counts(&self, guarantee: Guarantee) -> bool {
        self.guarantee.is_none_or(|only| only == guarantee)
    }

    fn telling(&self) -> anyhow::Result<Telling> {
        let sabotage = self.sabotage.as_deref().map(|name| {
            let found = Sabotage::ALL.iter().copied().find(|one| one.name() == name);
            found.ok_or_else(|| anyhow::anyhow!("there is no such sabotage; try --sabotage list"))
        });
        let cut = Cut { until: self.until, without: self.without.iter().copied().collect() };
        Ok(Telling { days: self.days, trace: self.trace, sabotage: sabotage.transpose()?, cut })
    }
}

/// The command that tells a story.
fn command(seed: u64, telling: &Telling) -> String {
    let Telling { days, cut, sabotage, .. } = telling;
    let mut command = format!("cargo run --release -p simulation -- --seed {seed} --days {days}");
    // Writing to a String cannot fail.
    if let Some(sabotage) = sabotage {
        write!(command, " --sabotage {}", sabotage.name()).ok();
    }
    if let Some(day) = cut.until {
        write!(command, " --until {day}").ok();
    }
    if !cut.without.is_empty() {
        let numbers: Vec<String> = cut.without.iter().map(usize::to_string).collect();
        write!(command, " --without {}", numbers.join(",")).ok();
    }
    command
}

/// A breach with less around it.
fn shortened(options: &Options, story: &Story) -> anyhow::Result<String> {
    let mut broken = story.verdicts.iter().filter(|verdict| options.counts(verdict.guarantee));
    let Some(verdict) = broken.next() else { return Ok(String::new()) };
    let telling = options.telling()?;
    let shorter = shorten(story, &telling, verdict.guarantee)?;
    let mut text = String::new();
    if shorter.cut != telling.cut {
        writeln!(text, "with less around it:")?;
        let story = run(story.seed, &shorter)?;
        let found = story.verdicts.iter().filter(|one| one.guarantee == verdict.guarantee);
        // The first few breaches show what happens.
        let found = found.take(5).map(ToString::to_string);
        let lines = story.lines.iter().cloned().chain(found);
        for line in lines {
            writeln!(text, "  {line}")?;
        }
    }
    writeln!(text, "step by step: {} --trace", command(story.seed, &shorter))?;
    Ok(text)
}

fn one(options: &Options, seed: u64) -> anyhow::Result<(String, bool)> {
    let story = run(seed, &options.telling()?)?;
    let mut text = String::new();
    let lines = if options.trace { &story.trace } else { &story.lines };
    for line in lines {
        writeln!(text, "{line}")?;
    }
    let verdicts = story.verdicts.iter().filter(|verdict| options.counts(verdict.guarantee));
    for verdict in verdicts.clone() {
        writeln!(text, "{verdict}")?;
    }
    let counts: Vec<String> =
        story.counts.iter().map(|(name, number)| format!("{number} {name}")).collect();
    writeln!(text, "seed {seed}, {} days: {}", options.days, counts.join(", "))?;
    let broken = story.broken();
    for (guarantee, number) in broken.iter().filter(|(guarantee, _)| options.counts(**guarantee)) {
        writeln!(text, "{} broken {number} times: {}", guarantee.name(), guarantee.says())?;
    }
    let fails = broken.keys().any(|guarantee| options.counts(*guarantee));
    if fails && !options.trace {
        text.push_str(&shortened(options, &story)?);
    }
    Ok((text, fails))
}

fn many(options: &Options, seeds: Range<u64>) -> anyhow::Result<(String, bool)> {
    let telling = &Telling { trace: false, ..options.telling()? };
    let next = AtomicU64::new(seeds.start);
    let stories = std::thread::scope(|scope| {
        let work = || -> anyhow::Result<Vec<Story>> {
            let mut stories = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return Ok(stories);
                }
                let mut story = run(seed, telling)?;
                story.lines.clear();
                stories.push(story);
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let results = threads.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a story panicked")))
        });
        results.collect::<anyhow::Result<Vec<_>>>()
    })?;
    let mut stories: Vec<Story> = stories.into_iter().flatten().collect();
    stories.sort_by_key(|story| story.seed);
    let mut rows: BTreeMap<Guarantee, (usize, u64)> = BTreeMap::new();
    for story in &stories {
        for guarantee in story.broken().into_keys() {
            rows.entry(guarantee).or_insert((0, story.seed)).0 += 1;
        }
    }
    let mut text = String::new();
    let (number, days) = (stories.len(), options.days);
    writeln!(text, "{number} stories of {days} days")?;
    let mut fails = false;
    for guarantee in Guarantee::ALL.iter().copied().filter(|one| options.counts(*one)) {
        let (name, row) = (guarantee.name(), rows.get(&guarantee));
        fails |= row.is_some();
        match row {
            Some((number, first)) => {
                writeln!(text, "{name:18} broken by {number:4}, first {first}")?;
            }
            None => writeln!(text, "{name:18} held")?,
        }
    }
    let recoveries = stories.iter().flat_map(|story| &story.recoveries);
    let (waited, soon) = recoveries
        .fold((0_u64, 0_u64), |(waited, soon), time| (waited + 1, soon + u64::from(*time <= SOON)));
    if let Some(percent) = (soon * 100).checked_div(waited) {
        writeln!(
            text,
            "{waited} items waited for the end of their troubles, {percent} % came within 15 minutes of it"
        )?;
        if percent < MOST && waited >= ENOUGH && options.sabotage.is_none() {
            writeln!(text, "at least {MOST} % should")?;
            fails = true;
        }
    }
    let first = stories.iter().find(|story| story.broken().keys().any(|one| options.counts(*one)));
    if let Some(first) = first.filter(|_| options.sabotage.is_none()) {
        writeln!(text, "the first: {}", command(first.seed, telling))?;
        text.push_str(&shortened(options, first)?);
    }
    Ok((text, fails))
}
