//! Any result of `getblocktemplate`: refused, or it makes work whose block is as heavy as allowed
//! (S16, I17).
#![cfg_attr(feature = "libfuzzer", no_main)]

use midstate_chain::BIP320_MASK;
use midstate_gbt::{Payout, Template, Work};

midstate_fuzz::target!(|bytes| {
    let Ok(json) = std::str::from_utf8(bytes) else { return };
    let Ok(template) = Template::parse(json) else { return };
    assert!(template.height > 0);
    assert_eq!(template.bits.to_target().as_ref(), Ok(&template.target));
    let payout = Payout {
        script: vec![0x51],
        tag: b"fuzz".to_vec(),
        extranonce1: vec![0; 4],
        version_mask: u32::MAX,
    };
    let (transactions, required) = (template.transactions.len(), template.required_version_bits);
    let Ok(work) = Work::new(template, &payout, "1".into(), true) else { return };
    let job = work.job();
    assert_eq!(job.version_mask & (!BIP320_MASK | required), 0);
    assert_eq!(job.branch.is_empty(), transactions == 0);
    assert!(!work.proposal().is_empty());
});
