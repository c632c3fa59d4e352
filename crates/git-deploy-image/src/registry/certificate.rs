//! What is wrong with a registry's certificate, in words for people rather than in those of a library.

use std::fmt;

use rustls::CertificateError;
use rustls::pki_types::UnixTime;

/// Why a certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateFlaw {
    /// Nobody who is trusted has signed it.
    UnknownIssuer,
    /// It is for other names.
    OtherName(Vec<String>),
    /// It is not valid any more; since when, if that is known.
    Expired(Option<String>),
    /// It is not valid yet; from when, if that is known.
    TooEarly(Option<String>),
    /// It is that of an authority, with which it could sign others, but which is no server.
    OfAuthority,
    /// Something else.
    Other(String),
}

impl CertificateFlaw {
    /// What to do about it, if the registry is called so.
    pub(super) fn hint(&self, registry: &str) -> String {
        let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
        match self {
            Self::UnknownIssuer | Self::Other(_) => format!(
                "put the certificate of the authority that signed it into '/etc/containers/certs.d/{registry}/ca.crt'"
            ),
            Self::OtherName(_) => {
                format!("call the registry by a name that its certificate has, or give it one for '{host}'")
            }
            Self::Expired(_) => {
                "renew it where the registry is; if it is new there, look at this machine's clock".to_owned()
            }
            Self::TooEarly(_) => "look at this machine's clock".to_owned(),
            Self::OfAuthority => format!(
                "give the registry a certificate for '{host}' that an authority has signed; one that signs itself takes \
                 'basicConstraints = CA:FALSE'"
            ),
        }
    }
}

impl fmt::Display for CertificateFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIssuer => f.write_str("nobody who is trusted here has signed it"),
            Self::OtherName(names) if names.is_empty() => f.write_str("it is for another name"),
            Self::OtherName(names) => write!(f, "it is for '{}' only", names.join("', '")),
            Self::Expired(since) => write!(f, "it has expired{}", on(" on ", since)),
            Self::TooEarly(from) => write!(f, "it is not valid yet{}", on(", but from ", from)),
            Self::OfAuthority => f.write_str("it is the certificate of an authority, not of a server"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

fn on(before: &str, day: &Option<String>) -> String {
    day.as_ref().map(|day| format!("{before}{day}")).unwrap_or_default()
}

impl From<&CertificateError> for CertificateFlaw {
    fn from(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::NotValidForName => Self::OtherName(Vec::new()),
            CertificateError::NotValidForNameContext { presented, .. } => {
                Self::OtherName(presented.iter().map(|name| plain(name)).collect())
            }
            CertificateError::Expired => Self::Expired(None),
            CertificateError::ExpiredContext { not_after, .. } => Self::Expired(day(*not_after)),
            CertificateError::NotValidYet => Self::TooEarly(None),
            CertificateError::NotValidYetContext { not_before, .. } => Self::TooEarly(day(*not_before)),
            // The library that checks is hidden behind another one, which hands its words on.
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                Self::OfAuthority
            }
            CertificateError::Other(other) => Self::Other(other.to_string()),
            error => Self::Other(error.to_string()),
        }
    }
}

/// `DnsName("registry.example.org")`, as the library has it, without control characters.
fn plain(name: &str) -> String {
    let inner = name.split_once("(\"").and_then(|(_, rest)| rest.strip_suffix("\")"));
    inner.unwrap_or(name).chars().filter(|c| !c.is_control()).collect()
}

fn day(time: UnixTime) -> Option<String> {
    let time = jiff::Timestamp::from_second(i64::try_from(time.as_secs()).ok()?).ok()?;
    Some(time.strftime("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn said(error: &CertificateError) -> String {
        CertificateFlaw::from(error).to_string()
    }

    #[test]
    fn a_flaw_is_said_in_words_and_with_what_to_do() {
        assert_eq!(said(&CertificateError::UnknownIssuer), "nobody who is trusted here has signed it");
        let time = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let (early, late) = (time(1_700_000_000), time(1_800_000_000));
        let expired = CertificateError::ExpiredContext { time: late, not_after: early };
        assert_eq!(said(&expired), "it has expired on 2023-11-14");
        let soon = CertificateError::NotValidYetContext { time: early, not_before: late };
        assert_eq!(said(&soon), "it is not valid yet, but from 2027-01-15");
        let other = CertificateError::NotValidForNameContext {
            expected: "r.example".try_into().unwrap(),
            presented: vec!["DnsName(\"a.example\")".to_owned(), "odd\u{1b}".to_owned()],
        };
        assert_eq!(said(&other), "it is for 'a.example', 'odd' only");
        assert!(CertificateFlaw::from(&other).hint("r.example:5000").contains("one for 'r.example'"));
        assert!(CertificateFlaw::from(&expired).hint("r.example").contains("clock"));
    }

    #[test]
    fn what_the_library_hides_is_said_without_its_wrappings() {
        #[derive(Debug)]
        struct Hidden;
        impl fmt::Display for Hidden {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("CaUsedAsEndEntity")
            }
        }
        impl std::error::Error for Hidden {}
        let error = CertificateError::Other(rustls::OtherError(std::sync::Arc::new(Hidden)));
        assert_eq!(said(&error), "it is the certificate of an authority, not of a server");
    }
}
