//! Variables that Kubernetes sets for every service of a namespace ("service links"): a service
//! called `maintd` makes `MAINTD_PORT=tcp://10.0.0.1:80` and half a dozen more.

use super::origin::Origin;
use super::problem::Problem;

/// Whether a value is what Kubernetes writes into the variable of a port.
pub(super) fn is_link(value: &str) -> bool {
    ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
}

/// Why a value that is a link stands where a setting should.
pub(super) fn explained(variable: &str, value: &str) -> String {
    match service(variable) {
        Some(service) => format!(
            "`{value}` is what Kubernetes sets because a service is called `{}` (service links): write \
             `enableServiceLinks: false` into the pod's spec, or give the service another name, and set {variable} \
             yourself if it is needed",
            shown(service)
        ),
        None => format!(
            "`{value}` is an address as Kubernetes writes it (service links): write the value without `tcp://`, or, if \
             nobody wrote it, `enableServiceLinks: false` into the pod's spec"
        ),
    }
}

/// Takes what Kubernetes set out of the unknown variables, with one warning for each service.
pub(super) fn set_aside<'a>(unknown: Vec<(&'a str, &'a str)>, warnings: &mut Vec<Problem>) -> Vec<&'a str> {
    let mut services: Vec<&str> =
        unknown.iter().filter(|(_, value)| is_link(value)).filter_map(|(name, _)| service(name)).collect();
    services.sort_unstable();
    services.dedup();
    for found in &services {
        let names: Vec<_> =
            unknown.iter().map(|(name, _)| *name).filter(|name| service(name) == Some(*found)).collect();
        let names = match names.as_slice() {
            [first, second, _, ..] => format!("{first}, {second} and {} more", names.len() - 2),
            few => few.join(" and "),
        };
        let message = format!(
            "Kubernetes sets these because a service is called `{}` (service links), and they are ignored: \
             write `enableServiceLinks: false` into the pod's spec, or give the service another name",
            shown(found)
        );
        warnings.push(Problem::without_key(Origin::variable(names), message));
    }
    let is_stray = |name: &str| service(name).is_none_or(|service| !services.contains(&service));
    unknown.into_iter().map(|(name, _)| name).filter(|name| is_stray(name)).collect()
}

/// The service, as variables spell it, whose link a variable may be: what stands before
/// `_SERVICE_HOST`, `_SERVICE_PORT`, `_SERVICE_PORT_<name>`, `_PORT` or `_PORT_<number>_<protocol>…`.
fn service(variable: &str) -> Option<&str> {
    let is_number = |text: &str| text.split('_').next().is_some_and(|number| number.parse::<u16>().is_ok());
    if let Some((service, _)) = variable.split_once("_SERVICE_PORT").or_else(|| variable.split_once("_SERVICE_HOST")) {
        return Some(service);
    }
    match variable.rsplit_once("_PORT_") {
        Some((service, rest)) if is_number(rest) => Some(service),
        _ => variable.strip_suffix("_PORT"),
    }
}

fn shown(service: &str) -> String {
    service.to_lowercase().replace('_', "-")
}
