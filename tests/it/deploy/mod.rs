mod alerts;
mod aws;
mod kubernetes;
mod kubernetes_backups;
mod notify;
mod unit;
mod watchdog;
