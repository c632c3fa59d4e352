//! Who may approve: the rules of base's `deploy.toml`, and whether a branch is approved by them.
//!
//! Only base says who may, so that no branch can list its own author. An approval is of one commit; what a rebase made of
//! that is approved with it, and nothing else: the commits of the branch are compared with what our own rebase makes of
//! the approved ones, however often, and by whom, they were rebased on the way.

mod content;
mod ended;
pub(super) mod kept;

use crate::approval::{Decided, NAMESPACE, NotApproved, Signature};
use crate::config::deploy_toml::{Approve, DeployToml};
use crate::git::object::Kind;
use crate::git::sign::{Format, SignError, Signer};
use crate::git::verify::{self, AllowedSigners, VerifyError};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, RefName};
use crate::note::Note;
use crate::promotion::Promotion;
use crate::rebase::{Committer, Engine, MergeTreeEngine, RebaseError, Request, Verdict};

pub(super) use content::Content;
pub use ended::Past;
pub(super) use ended::said_of;

/// The longest list of signers that is read, in bytes.
const MAX_LIST: usize = 1024 * 1024;

/// Why it could not be found out whether something is approved.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    /// The user's key could not be used.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The rebase that is compared with could not be made.
    #[error(transparent)]
    Rebase(#[from] RebaseError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Who may approve, as a commit of base says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The list of ssh keys; the error says why there is none that can be read.
    signers: Option<Result<AllowedSigners, String>>,
    fingerprints: Vec<String>,
}

impl Rules {
    /// What base's `deploy.toml` says, with the list as base has it; none if everybody may who can push.
    ///
    /// # Errors
    /// When base's tree cannot be read.
    pub fn of(
        repository: &Repository,
        deploy_toml: &DeployToml,
        base_tip: CommitId,
    ) -> Result<Option<Self>, GitError> {
        let Some(Approve { allowed_signers, gpg_fingerprints }) = &deploy_toml.approve else {
            return Ok(None);
        };
        let signers = allowed_signers.as_ref().map(|path| list(repository, base_tip, path.as_str()));
        Ok(Some(Self { signers: signers.transpose()?, fingerprints: gpg_fingerprints.clone() }))
    }

    /// Why nobody whose key is ssh's could approve by them.
    pub fn unreadable(&self) -> Option<&str> {
        self.signers.as_ref()?.as_ref().err().map(String::as_str)
    }

    /// Whether a note is signed by somebody who may approve: the cheaper half of the question. What is approved, or why it is
    /// not.
    ///
    /// # Errors
    /// When git's configuration cannot be read.
    pub fn signed(&self, note: &Note) -> Result<Result<Decided, NotApproved>, GitError> {
        let (decided, signature) = match self.looks_signed(note) {
            Ok(signed) => signed,
            Err(why) => return Ok(Err(why)),
        };
        Ok(self.verified(&decided.statement(), &signature)?.map(|_| decided))
    }

    /// Whether somebody who may approve has signed that what stands in one environment goes on to another.
    ///
    /// # Errors
    /// When git's configuration cannot be read.
    pub fn promoted(&self, promotion: &Promotion) -> Result<Result<String, NotApproved>, GitError> {
        match promotion.signature.as_ref().map(|text| text.parse()) {
            None => Ok(Err(NotApproved::Unsigned)),
            Some(Err(())) => Ok(Err(NotApproved::Unreadable)),
            Some(Ok(signature)) => self.verified(&promotion.statement(), &signature),
        }
    }

    /// Whether a text is signed by somebody who may approve, and who that is.
    fn verified(&self, text: &str, signature: &Signature) -> Result<Result<String, NotApproved>, GitError> {
        let armour = signature.armour();
        let verdict = match (signature.format, &self.signers) {
            (Format::Ssh, Some(Ok(signers))) => verify::by_ssh(signers, NAMESPACE, text, &armour),
            (Format::Ssh, Some(Err(why))) => return Ok(Err(NotApproved::Rules(why.clone()))),
            (Format::OpenPgp, _) if !self.fingerprints.is_empty() => {
                verify::by_gpg(&self.fingerprints, text, &armour)
            }
            _ => Ok(Err("it is signed with another kind of key than base asks for".to_owned())),
        };
        match verdict {
            Ok(verdict) => Ok(verdict.map_err(NotApproved::Invalid)),
            Err(VerifyError::Git(error)) => Err(error),
            // Another branch may be signed with what is there.
            Err(error @ (VerifyError::File(_) | VerifyError::Start { .. })) => {
                Ok(Err(NotApproved::Unverified(error.to_string())))
            }
        }
    }

    /// What can be said without asking any program: for whoever lists a thousand branches.
    ///
    /// # Errors
    /// When nobody can have signed.
    pub fn looks_signed(&self, note: &Note) -> Result<(Decided, Signature), NotApproved> {
        let text = note.approval.as_ref().ok_or(NotApproved::Unsigned)?;
        let signature = text.parse().map_err(|()| NotApproved::Unreadable)?;
        Ok((Decided::of(note).ok_or(NotApproved::Unreadable)?, signature))
    }
}

/// The list of ssh keys in a tree. Only a file counts: what a link leads to is nobody's decision.
fn list(
    repository: &Repository,
    base_tip: CommitId,
    path: &str,
) -> Result<Result<AllowedSigners, String>, GitError> {
    let tree = repository.commit(base_tip)?.tree;
    let Some(entry) = repository.entry(tree, path)?.filter(|entry| entry.mode.starts_with(b"100")) else {
        return Ok(Err(format!("there is no file '{path}' on base")));
    };
    let text = repository.read(entry.id, Kind::Blob)?;
    if text.len() > MAX_LIST {
        return Ok(Err(format!("'{path}' is too large")));
    }
    Ok(Ok(AllowedSigners { name: path.to_owned(), text }))
}

/// Whether the note on the tip of a branch approves it: signed by somebody who may, for this branch, and for these
/// commits. `base_tip` is base, or the commit of base that the branch stands on.
///
/// # Errors
/// When it could not be found out.
pub fn judge(
    repository: &Repository,
    rules: &Rules,
    past: &Past<'_>,
    base_tip: CommitId,
    (branch, tip): (&RefName, CommitId),
    note: &Note,
) -> Result<Result<Decided, NotApproved>, ApproveError> {
    match rules.signed(note)? {
        Ok(decided) => covers(repository, past, decided, base_tip, (branch, tip), note),
        Err(why) => Ok(Err(why)),
    }
}

/// Whether what was signed in a note covers the tip of a branch: the other half of the question. `past` has what became
/// of it since.
///
/// # Errors
/// When it could not be found out.
pub fn covers(
    repository: &Repository,
    past: &Past<'_>,
    decided: Decided,
    base_tip: CommitId,
    (branch, tip): (&RefName, CommitId),
    note: &Note,
) -> Result<Result<Decided, NotApproved>, ApproveError> {
    if !decided.refs.contains(branch) {
        return Ok(Err(NotApproved::Unsigned));
    }
    if let Some(why) = past.ended(repository, &decided, tip, note)? {
        return Ok(Err(why));
    }
    Ok(carried(repository, decided.commit, branch, tip, base_tip)?.map(|()| decided))
}

/// Whether a tip is an approved commit, or what our rebase makes of it where that stands.
fn carried(
    repository: &Repository,
    approved: CommitId,
    branch: &RefName,
    tip: CommitId,
    base_tip: CommitId,
) -> Result<Result<(), NotApproved>, ApproveError> {
    if tip == approved {
        return Ok(Ok(()));
    }
    if repository.find(approved.0)?.is_none() {
        return Ok(Err(NotApproved::Gone(approved)));
    }
    if is_rebase_of(repository, approved, branch, tip, base_tip)? {
        return Ok(Ok(()));
    }
    // What a shallow clone takes for the beginning of a branch is none.
    for commit in [tip, approved] {
        if repository.is_cut_off_between(commit, base_tip)? {
            return Ok(Err(NotApproved::Incomparable(approved)));
        }
    }
    Ok(Err(NotApproved::Differs(approved)))
}

/// Whether a tip is what our rebase makes of another commit of the branch, where the tip stands on base.
///
/// # Errors
/// When the rebase could not be tried.
pub(in crate::ops) fn is_rebase_of(
    repository: &Repository,
    commit: CommitId,
    branch: &RefName,
    tip: CommitId,
    base_tip: CommitId,
) -> Result<bool, RebaseError> {
    let Some(onto) = repository.merge_base(tip, base_tip)? else { return Ok(false) };
    let request = Request { name: branch.clone(), tip: commit, upstream: onto, onto };
    let mut engine = MergeTreeEngine::new(repository, Committer::Keep).for_check();
    let made = match engine.rebase(&[request])?.pop() {
        Some(Verdict::Rebased(rebased)) => rebased.tip,
        Some(Verdict::Current) => commit,
        _ => return Ok(false),
    };
    Ok(same_commits(repository, made, tip, onto)?)
}

/// Whether two lines of commits that stand on the same one are the same in all that an approval is given for.
fn same_commits(
    repository: &Repository,
    one: CommitId,
    two: CommitId,
    end: CommitId,
) -> Result<bool, GitError> {
    let (mut one, mut two) = (one, two);
    while one != two {
        if one == end || two == end {
            return Ok(false);
        }
        let (first, second) = (repository.commit(one)?, repository.commit(two)?);
        let ([next_one], [next_two]) = (&first.parents[..], &second.parents[..]) else { return Ok(false) };
        (one, two) = (*next_one, *next_two);
        if Content::of(first) != Content::of(second) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Signs the decision in a note, with the user's own key.
pub struct Approver {
    signer: Signer,
    rules: Rules,
}

impl Approver {
    /// Reads how the user signs.
    ///
    /// # Errors
    /// When the configuration does not say how.
    pub fn new(repository: &Repository, rules: Rules) -> Result<Self, ApproveError> {
        Ok(Self { signer: Signer::from_config(repository, NAMESPACE)?, rules })
    }

    /// The note with a signature that the rules accept.
    ///
    /// # Errors
    /// When it cannot be signed. What is refused is the user's key.
    pub fn sign(&self, note: Note) -> Result<Result<Note, NotApproved>, ApproveError> {
        let Some(decided) = Decided::of(&note) else { return Ok(Err(NotApproved::Unreadable)) };
        let signature = match self.signature(&decided.statement())? {
            Ok(signature) => signature.replacing(decided.replaces),
            Err(why) => return Ok(Err(why)),
        };
        let note = Note { approval: Some(signature.to_string()), ..note };
        Ok(self.rules.signed(&note)?.map(|_| note))
    }

    /// The approval to go on with a signature that the rules accept.
    ///
    /// # Errors
    /// When it cannot be signed. What is refused is the user's key.
    pub fn sign_promotion(
        &self,
        promotion: Promotion,
    ) -> Result<Result<Promotion, NotApproved>, ApproveError> {
        let signature = match self.signature(&promotion.statement())? {
            Ok(signature) => Some(signature.to_string()),
            Err(why) => return Ok(Err(why)),
        };
        let promotion = Promotion { signature, ..promotion };
        Ok(self.rules.promoted(&promotion)?.map(|_| promotion))
    }

    fn signature(&self, text: &str) -> Result<Result<Signature, NotApproved>, ApproveError> {
        let armour = self.signer.sign(text.as_bytes().to_vec())?;
        let signature = Signature::of_armour(self.signer.format(), &String::from_utf8_lossy(&armour));
        let why = || NotApproved::Invalid("'gpg.format' must be 'ssh' or 'openpgp'".to_owned());
        Ok(signature.ok_or_else(why))
    }
}
