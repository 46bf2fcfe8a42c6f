mod alerts;
mod aws;
mod kubernetes;
mod kubernetes_backups;
mod notify;
mod role;
mod unit;
mod watchdog;
