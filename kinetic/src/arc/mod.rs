//! `kinetic arc`: asks analyzers about their configuration objects, and changes them.
//!
//! ```text
//! a line ─▶ input ─▶ ask (over the broker) or http (an admin address, whose serve asks over its own bus) ─▶ show
//! ```

mod args;
mod ask;
mod http;
mod input;
mod message;
mod place;
pub(crate) mod serve;
mod show;

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use anyhow::bail;
use kinetic_api::control::Command;
use kinetic_bus::{AmqpConfig, Bus};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

pub(crate) use self::args::ArcArgs;
use self::{
    ask::{Asker, Heard, Question, Report},
    http::Admin,
    input::Input,
    place::{Place, Target},
};

/// Reads commands until the end of the input. Piped, the exit code says whether all was done.
pub(crate) async fn run(args: ArcArgs) -> anyhow::Result<ExitCode> {
    let password = std::env::var("KINETIC_AMQP_PASSWORD").ok();
    let (place, target) =
        place::parse(&args.host, args.vhost.as_deref(), args.user.as_deref(), password.as_deref())?;
    let target = match (args.all, target) {
        (true, None) => Some(Target::All),
        (true, Some(_)) => bail!("--all asks every analyzer: leave the controller out of HOST, or --all"),
        (false, target) => target,
    };
    let way = Way::open(place, args.timeout.std()).await?;
    let interactive = io::stdin().is_terminal();
    let lines = BufReader::new(tokio::io::stdin()).lines();
    let session = Session { way, target, args, interactive, all_done: true };
    session.run(lines).await
}

/// The way to the analyzers.
enum Way {
    Broker(Box<Asker>),
    Process(Box<Admin>),
}

impl Way {
    async fn open(place: Place, patience: std::time::Duration) -> anyhow::Result<Self> {
        Ok(match place {
            Place::Broker { uri, vhost } => {
                let bus = Bus::amqp(AmqpConfig::new(&uri, &vhost)?.with_connection_name("kinetic arc"));
                bus.connected(patience).await?;
                Self::Broker(Box::new(Asker::open(bus).await?))
            }
            Place::Process { url, vhost } => Self::Process(Box::new(Admin::open(url, vhost).await?)),
        })
    }

    async fn hear(&mut self) -> anyhow::Result<Heard> {
        match self {
            Self::Broker(asker) => Ok(asker.hear().await?),
            Self::Process(admin) => Ok(admin.hear().await),
        }
    }

    async fn ask(&mut self, question: &Question, hear: &mut impl FnMut(Heard)) -> anyhow::Result<Report> {
        match self {
            Self::Broker(asker) => Ok(asker.ask(question, hear).await?),
            Self::Process(admin) => admin.ask(question, hear).await,
        }
    }
}

/// Commands in, answers and notices out.
struct Session {
    way: Way,
    target: Option<Target>,
    args: ArcArgs,
    interactive: bool,
    /// Whether everything so far has been done.
    all_done: bool,
}

impl Session {
    async fn run(mut self, mut lines: Lines<BufReader<Stdin>>) -> anyhow::Result<ExitCode> {
        loop {
            self.prompt()?;
            let line = loop {
                tokio::select! {
                    line = lines.next_line() => break line?,
                    heard = self.way.hear() => {
                        if self.interactive {
                            // Back over the prompt, which comes again below.
                            print!("\r\x1b[K");
                        }
                        say(&show::heard(&heard?, self.args.json))?;
                        self.prompt()?;
                    }
                }
            };
            let input = match line.as_deref().map(input::parse) {
                None | Some(Ok(Input::Quit)) => break,
                Some(Ok(input)) => input,
                Some(Err(error)) => {
                    self.failed(&error)?;
                    continue;
                }
            };
            match input {
                Input::Nothing | Input::Quit => {}
                Input::Help => say(&[input::HELP.to_owned()])?,
                Input::Command(command) => {
                    if let Err(error) = self.command(command).await {
                        self.failed(&error)?;
                    }
                }
            }
        }
        if self.interactive {
            say(&[String::new()])?;
        }
        Ok(if self.all_done || self.interactive { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn command(&mut self, command: Command) -> anyhow::Result<()> {
        let Some(target) = self.target.clone() else {
            bail!("whom? Name a Topology or an analyzer behind HOST, such as …/web or …/web.0, or ask --all");
        };
        let opcode = command.opcode();
        let (json, expect) = (self.args.json, self.args.expect);
        let by = std::env::var("USER").ok().filter(|user| !user.is_empty());
        let by = by.unwrap_or_else(|| "kinetic arc".to_owned());
        let question = Question { target, command, by, patience: self.args.timeout.std(), expect };
        let mut told = Ok(());
        let report = self
            .way
            .ask(&question, &mut |heard| {
                if let Err(error) = say(&show::heard(&heard, json)) {
                    told = Err(error);
                }
            })
            .await?;
        told?;
        self.all_done &= report.is_ok(expect);
        say(&show::report(&report, opcode, expect, json))?;
        Ok(())
    }

    fn failed(&mut self, error: &anyhow::Error) -> io::Result<()> {
        self.all_done = false;
        say(&[show::error(&format!("{error:#}"), self.args.json)])
    }

    fn prompt(&self) -> io::Result<()> {
        if self.interactive {
            match &self.target {
                None => print!("> "),
                Some(Target::All) => print!("all> "),
                Some(Target::Topology(topology)) => print!("{topology}> "),
                Some(Target::Analyzer(topology, number)) => print!("{topology}.{number}> "),
            }
            io::stdout().flush()?;
        }
        Ok(())
    }
}

/// Prints lines; a reader that has seen enough (`| head`) is no error.
fn say(lines: &[String]) -> io::Result<()> {
    let mut text = lines.join("\n");
    if lines.is_empty() {
        return Ok(());
    }
    text.push('\n');
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
