//! What a stack is made of: three tenants, six keys, three routes, and the configuration file that says so.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// A key of the test's tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Who pays.
    pub tenant: &'static str,
    /// What for.
    pub project: &'static str,
    /// Its name.
    pub id: &'static str,
    /// What apps send.
    pub secret: &'static str,
}

const fn key(
    tenant: &'static str,
    project: &'static str,
    id: &'static str,
    secret: &'static str,
) -> Key {
    Key {
        tenant,
        project,
        id,
        secret,
    }
}

/// Every key; those of a project stand together.
pub const KEYS: [Key; 6] = [
    key("acme", "search", "acme-search-1", "tg-test-acme-search-1"),
    key("acme", "search", "acme-search-2", "tg-test-acme-search-2"),
    key(
        "acme",
        "support",
        "acme-support-1",
        "tg-test-acme-support-1",
    ),
    key(
        "globex",
        "research",
        "globex-research-1",
        "tg-test-globex-1",
    ),
    key(
        "globex",
        "research",
        "globex-research-2",
        "tg-test-globex-2",
    ),
    key(
        "initech",
        "reports",
        "initech-reports-1",
        "tg-test-initech-1",
    ),
];

/// The models that are served. The last one's answers are cancelled when the app goes away, the others are drained.
pub const MODELS: [&str; 3] = ["gpt-4o-mini", "gpt-4o", "gpt-4.1-mini"];

const TENANTS: [&str; 3] = ["acme", "globex", "initech"];

/// What a test chooses.
#[derive(Debug, Clone)]
pub struct Setup {
    /// When a record of acme, globex, initech counts as kept.
    pub durability: [&'static str; 3],
    /// The same for records of each model, where that is more; empty for no more.
    pub route_durability: [&'static str; 3],
    /// Further lines of `[gateway]`.
    pub gateway: String,
    /// Further lines of each route.
    pub route: String,
    /// Lines of `[gateway.drain]`.
    pub drain: String,
    /// How much refusals may take of the journal until the store has them.
    pub refusals_mib: u64,
    /// How often the store is audited, in seconds.
    pub audit_seconds: u64,
    /// Whether the provider's traffic is on no bill.
    pub synthetic: bool,
    /// More lines of `[consumer]`.
    pub consumer: String,
    /// Keys that are switched off, by name.
    pub disabled_keys: Vec<String>,
    /// How the provider behaves.
    pub simulator: simulator::Settings,
    /// Another provider than the simulator, up to and with `/v1`.
    pub provider_url: Option<String>,
    /// `TOLLGATE_FAILPOINT` of the first start.
    pub failpoint: Option<String>,
    /// Further sections of the configuration.
    pub sections: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            durability: ["written", "synced", "written"],
            route_durability: [""; 3],
            gateway: String::new(),
            route: String::new(),
            drain: String::new(),
            refusals_mib: 256,
            audit_seconds: 30,
            synthetic: false,
            consumer: String::new(),
            disabled_keys: Vec::new(),
            simulator: simulator::Settings::default(),
            provider_url: None,
            failpoint: None,
            sections: String::new(),
        }
    }
}

impl Setup {
    /// The configuration file. Its data directory is `data` beside it.
    pub fn toml(&self, app: SocketAddr, ops: SocketAddr, simulator_url: &str) -> String {
        let provider_url = self.provider_url.as_deref().unwrap_or(simulator_url);
        let prices = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prices.csv");
        let mut text = format!(
            "data_dir = \"data\"\nprices = \"{prices}\"\n\n[journal]\nsegment_mib = 16\ncapacity_mib = 4096\nrefusals_mib = {refusals}\n\n\
             [consumer]\naudit_seconds = {audit}\n{consumer}\n\n[gateway]\nlisten = \"{app}\"\nops_listen = \"{ops}\"\n{gateway}\n\n\
             [gateway.drain]\n{drain}\n\n[[deployments]]\nid = \"simulator\"\nprovider = \"openai\"\n\
             base_url = \"{provider_url}\"\nauth = \"none\"\nsynthetic = {synthetic}\n",
            prices = prices.display(),
            refusals = self.refusals_mib,
            audit = self.audit_seconds,
            consumer = self.consumer,
            gateway = self.gateway,
            drain = self.drain,
            synthetic = self.synthetic,
        );
        for (model, durability) in MODELS.into_iter().zip(self.route_durability) {
            let gone = if model == MODELS[2] {
                "cancel"
            } else {
                "drain"
            };
            add(
                &mut text,
                format_args!(
                    "\n[[routes]]\nmodel = \"{model}\"\ndeployment = \"simulator\"\non_client_gone = \"{gone}\"\n{}\n",
                    self.route
                ),
            );
            if !durability.is_empty() {
                add(&mut text, format_args!("durability = \"{durability}\"\n"));
            }
        }
        for (tenant, durability) in TENANTS.into_iter().zip(self.durability) {
            self.add_tenant(&mut text, tenant, durability);
        }
        text.push_str(&self.sections);
        text
    }

    fn add_tenant(&self, text: &mut String, tenant: &str, durability: &str) {
        let label =
            "{ name = \"client_request_id\", header = \"x-client-request-id\", plain = true }";
        add(
            text,
            format_args!(
                "\n[[tenants]]\nid = \"{tenant}\"\ndurability = \"{durability}\"\nlabels = [{label}]\n"
            ),
        );
        let keys = KEYS.iter().filter(|key| key.tenant == tenant);
        let mut projects: Vec<&str> = keys.map(|key| key.project).collect();
        projects.dedup();
        for project in projects {
            let keys: Vec<String> = KEYS
                .iter()
                .filter(|key| (key.tenant, key.project) == (tenant, project))
                .map(|key| self.key_line(key))
                .collect();
            add(
                text,
                format_args!(
                    "\n[[tenants.projects]]\nid = \"{project}\"\nkeys = [\n  {}\n]\n",
                    keys.join(",\n  ")
                ),
            );
        }
    }

    fn key_line(&self, key: &Key) -> String {
        let digest = hex::encode(Sha256::digest(key.secret));
        let disabled = self.disabled_keys.iter().any(|id| id == key.id);
        format!(
            "{{ id = \"{}\", sha256 = \"{digest}\", disabled = {disabled} }}",
            key.id
        )
    }
}

fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a text takes every text");
}
