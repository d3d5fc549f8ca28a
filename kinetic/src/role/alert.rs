//! `kinetic alert`: the alert service, alone.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::Args;
use kinetic_alert::{AlertConfig, AlertService, Clock};
use kinetic_pki::TlsMetrics;
use prometheus_client::registry::Registry;

use super::{
    config::{Role, RoleArgs, Settings},
    serve,
};
use crate::{
    mail::{self, MailArgs},
    run::supervisor::Parts,
};

/// Takes findings from RabbitMQ, makes incidents of them, and mails people once.
#[derive(Debug, Args)]
#[command(
    after_help = "Example configuration:\n  amqp: amqp://user:password@broker:5672\n  files: [resources/]\n  data: /var/lib/kinetic\n  mail: {smtp: \"smtps://user:password@mail.example:465\", from: kinetic@acme.example}\n  admin: 127.0.0.1:8183\n\nOn Kubernetes, through the front doors, with the certificate of /alert:\n  kubernetes: {namespaces: []}    # in place of files; all namespaces where empty\n  doors:                          # in place of amqp, if there are several\n    - {region: us-west, provider: aws, amqp: \"amqps://kinetic-redirector-us-west-aws.kinetic-system.svc:5671\"}\n  tls: {cert: /etc/kinetic/tls/tls.crt, key: /etc/kinetic/tls/tls.key, ca: /etc/kinetic/tls/ca.crt}\n  data: /var/lib/kinetic\n  mail: {smtp: \"smtps://mail.example\"}"
)]
pub(crate) struct AlertArgs {
    #[command(flatten)]
    role: RoleArgs,
    #[command(flatten)]
    mail: MailArgs,
}

/// Runs until stopped.
pub(crate) async fn run(args: AlertArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::read(args.role, Role::Alert)?;
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
    let tls = TlsMetrics::default();
    tls.register(&mut registry);
    let parts = Parts { broker: settings.broker(&tls)?, alerts: Some(Arc::clone(&alerts)), analyzers: None };
    serve::run(&settings, parts, registry, Some(alerts)).await
}
