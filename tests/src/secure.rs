//! A broker behind TLS and SASL for tests: its certificates, its users, and tokens that it takes. No claim about behaviour.

use std::path::Path;

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::kafka::Brokers;

/// The password of user `tollgate`, shown by `PLAIN`.
pub const PLAIN: &str = "plain-secret-7d1c";
/// The password of user `tollgate`, shown by `SCRAM-SHA-256` and `SCRAM-SHA-512`.
pub const SCRAM: &str = "scram-secret-95ab";

/// An authority and a certificate for `localhost`, as PEM files `ca.pem` and `server.pem` in a folder.
///
/// # Panics
/// If they cannot be made.
pub fn certificates(folder: &Path) {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // A certificate whose issuer has its own name is taken for one that signed itself.
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "an authority of tests");
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("a certificate");
    std::fs::write(folder.join("ca.pem"), authority.pem()).expect("a file");
    let issuer = Issuer::new(params, key);
    let names = vec!["localhost".to_owned()];
    let params = CertificateParams::new(names).expect("parameters");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    let both = key.serialize_pem() + &certificate.pem();
    std::fs::write(folder.join("server.pem"), both).expect("a file");
}

/// A listener that takes every mechanism over TLS; makes its certificates in the folder. Who shows a token shows one again
/// before it ends, or is thrown out.
pub fn secure_brokers(folder: &Path) -> Brokers {
    certificates(folder);
    let security = "org.apache.kafka.common.security";
    let secure = format!(
        "listener.name.secure.ssl.keystore.type=PEM\n\
         listener.name.secure.ssl.keystore.location={store}\n\
         listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER\n\
         listener.name.secure.plain.sasl.jaas.config={security}.plain.PlainLoginModule required user_tollgate=\"{PLAIN}\";\n\
         listener.name.secure.scram-sha-256.sasl.jaas.config={security}.scram.ScramLoginModule required;\n\
         listener.name.secure.scram-sha-512.sasl.jaas.config={security}.scram.ScramLoginModule required;\n\
         listener.name.secure.oauthbearer.connections.max.reauth.ms=3600000\n\
         listener.name.secure.oauthbearer.sasl.jaas.config={security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";\n",
        store = folder.join("server.pem").display(),
    );
    let format = ["SCRAM-SHA-256", "SCRAM-SHA-512"]
        .into_iter()
        .flat_map(|mechanism| {
            let shown = format!("{mechanism}=[name=tollgate,password={SCRAM}]");
            ["--add-scram".to_owned(), shown]
        });
    Brokers {
        secure,
        format: format.collect(),
        ..Brokers::default()
    }
}

/// A token that this broker takes: unsigned, until a second since the epoch.
pub fn token(ends_s: i64) -> String {
    let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let claims = format!(r#"{{"sub":"tollgate","iat":1700000000,"exp":{ends_s}}}"#);
    format!("{}.{}.", part(r#"{"alg":"none"}"#), part(&claims))
}
