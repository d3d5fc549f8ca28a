//! `kinetic alert`: the alert service, alone.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::Args;
use kinetic_alert::{AlertConfig, AlertService, Clock};
use prometheus_client::registry::Registry;

use super::{
    config::{RoleArgs, Settings},
    serve,
};
use crate::{
    mail::{self, MailArgs},
    run::supervisor::Parts,
};

/// Takes findings from RabbitMQ, makes incidents of them, and mails people once.
#[derive(Debug, Args)]
#[command(
    after_help = "Example configuration:\n  amqp: amqp://user:password@broker:5672\n  files: [resources/]\n  data: /var/lib/kinetic\n  mail: {smtp: \"smtps://user:password@mail.example:465\", from: kinetic@acme.example}\n  admin: 127.0.0.1:8183"
)]
pub(crate) struct AlertArgs {
    #[command(flatten)]
    role: RoleArgs,
    #[command(flatten)]
    mail: MailArgs,
}

/// Runs until stopped.
pub(crate) async fn run(args: AlertArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::read(args.role)?;
    let chosen = args.mail.smtp.is_some() || args.mail.mail_dir.is_some();
    let mail = MailArgs {
        smtp: args.mail.smtp.or_else(|| settings.mail.smtp.clone().filter(|_| !chosen)),
        mail_from: args.mail.mail_from.or_else(|| settings.mail.from.clone()),
        mail_dir: args.mail.mail_dir.or_else(|| settings.mail.dir.clone().filter(|_| !chosen)),
    };
    let alerts = AlertService::open(AlertConfig {
        data_dir: settings.data.clone(),
        mail: mail::transport(&mail, &settings.data)?,
        mail_from: mail::sender(&mail),
        clock: Clock::Wall,
    })
    .await
    .with_context(|| format!("the alert service cannot use {}", settings.data.display()))?;
    let mut registry = Registry::default();
    alerts.register(&mut registry);
    let alerts = Arc::new(alerts);
    let parts =
        Parts { broker: settings.broker("alert")?, alerts: Some(Arc::clone(&alerts)), analyzers: None };
    serve::run(&settings, parts, registry, Some(alerts)).await
}
