//! A certificate for this machine, and the authority that the contestants are told to trust.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

/// The name in the certificate.
pub(crate) const HOST: &str = "localhost";

/// Where the authority's certificate is written.
const FILE: &str = "target/bench/authority.pem";

/// Each reads one of these: Go, OpenSSL and ours the first, Node and Bun the second, Python's requests the third.
const VARIABLES: [&str; 3] = ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"];

/// An authority of this run.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    pub(crate) config: Arc<ServerConfig>,
    file: PathBuf,
}

impl Authority {
    /// Makes an authority and a certificate of its own.
    pub(crate) fn new() -> Result<Self> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Without a name of its own, OpenSSL would take what it signs for self-signed.
        authority.distinguished_name.push(DnType::CommonName, "bench");
        let authority_key = KeyPair::generate()?;
        let file = std::path::absolute(FILE)?;
        std::fs::write(&file, authority.self_signed(&authority_key)?.pem())?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![HOST.to_owned()])?
            .signed_by(&key, &Issuer::new(authority, authority_key))?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(Self { config: Arc::new(config), file })
    }

    /// Lets a process trust it.
    pub(crate) fn trusted_by(&self, command: &mut Command) {
        for variable in VARIABLES {
            command.env(variable, &self.file);
        }
    }
}
