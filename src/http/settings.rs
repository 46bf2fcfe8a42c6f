//! The table `[http]`.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};

use crate::model::setting::Problem;

/// Where the daemon answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The address and the port of the status page, the metrics and the health checks.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
}

impl Default for Settings {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 6246)) }
    }
}

impl Settings {
    /// What is wrong with these values together: nothing can be.
    pub fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    struct Address;

    impl Visitor<'_> for Address {
        type Value = SocketAddr;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an IP address with a port, as in \"127.0.0.1:6246\"")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<SocketAddr, E> {
            text.trim().parse().map_err(|_| {
                E::custom(format!(
                    "`{text}` is not an IP address with a port: write \"127.0.0.1:6246\" for this machine only, or \"0.0.0.0:6246\" for every network it is on"
                ))
            })
        }
    }

    deserializer.deserialize_any(Address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_alike() {
        for text in ["127.0.0.1:6246", "0.0.0.0:80", "[::1]:6246", "[fe80::1%3]:1"] {
            let settings: Settings = toml::from_str(&format!("listen = \"{text}\"")).expect(text);
            assert_eq!(settings.listen.to_string(), text);
            assert_eq!(serde_json::to_value(&settings).expect(text)["listen"], text);
            assert_eq!(settings.problems(), []);
        }
        assert_eq!(toml::from_str::<Settings>("").expect("defaults").listen.to_string(), "127.0.0.1:6246");
    }

    #[test]
    fn a_bad_address_is_told_what_to_write() {
        for text in ["\"localhost:6246\"", "\":6246\"", "\"127.0.0.1\"", "\"\"", "\"tcp://10.0.0.1:6246\"", "6246"] {
            let error = toml::from_str::<Settings>(&format!("listen = {text}")).expect_err(text);
            assert!(error.message().contains("\"127.0.0.1:6246\""), "{}", error.message());
        }
        assert!(toml::from_str::<Settings>("port = 6246").is_err());
    }
}
