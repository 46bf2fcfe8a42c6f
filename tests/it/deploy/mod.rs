mod alerts;
mod aws;
mod kubernetes;
mod notify;
mod unit;
mod watchdog;
